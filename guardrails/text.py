"""How filters read text, so that invisible characters and look-alike forms do not hide a word."""

import re
import unicodedata

INVISIBLE = re.compile("[\u00ad\u034f\u061c\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u2069\ufeff]")


def readable(text: str) -> str:
    """The text in NFKC form without invisible characters; spans of findings count in it."""
    if text.isascii():
        return text
    return INVISIBLE.sub("", unicodedata.normalize("NFKC", text))
