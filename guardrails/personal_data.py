"""Finds what identifies a person by its form: cards, accounts, numbers, addresses.

Every pattern is bounded, so the time grows with the text and no faster. What a checksum or a registry's rule can refute
is refuted; where the form alone says little, a word before it has to say more.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import NamedTuple

from guardrails.phones import phones
from guardrails.windows import Span, blanked


class Hit(NamedTuple):
    """A place in the text."""

    kind: str
    start: int
    end: int
    score: float
    """How sure the form makes us."""


def _starts(sign: str) -> str:
    """The first sign of a number: no letter or digit before it, but the n of a JSON text's \\n is none.

    The sign is named before what stands before it, since a class of signs is what the engine skips to fast.
    """
    return rf"{sign}(?:(?<!\w{sign})|(?<=\\[nrt]{sign}))"


_CARD = re.compile(rf"{_starts('[2-6]')}(?<![0-9]\.[2-6])(?=((?:[ .\-‐-―]?[0-9]){{12,18}}))")
_ISSUERS = re.compile(
    r"(?:4(?:[0-9]{12}|[0-9]{15}|[0-9]{18})|5[1-5][0-9]{14}|3[47][0-9]{13}|3(?:0[0-5]|[68][0-9])[0-9]{11}"
    r"|2(?:22[1-9]|2[3-9][0-9]|[3-6][0-9]{2}|7[01][0-9]|720)[0-9]{12}|6(?:011|5[0-9]{2}|4[4-9][0-9]|22[0-9])[0-9]{12,15}"
    r"|35(?:2[89]|[3-8][0-9])[0-9]{12})"
)
MAX_CARD_GAPS = 7

_IBAN = re.compile(
    r"[0-9]{2}(?<=[A-Za-z]{2}[0-9]{2})(?:(?<!\w[A-Za-z]{2}[0-9]{2})|(?<=\\[nrt][A-Za-z]{2}[0-9]{2}))"
    r"(?=((?:[ \-]?[A-Za-z0-9]){11,30}))"
)
IBAN_LENGTHS: Mapping[str, int] = {
    country: int(length)
    for length, countries in {
        "15": "NO",
        "16": "BE",
        "18": "DK FI FO GL NL SD FK",
        "19": "MK SI",
        "20": "AT BA EE KZ LT LU XK MN",
        "21": "CH HR LI LV",
        "22": "BG BH CR DE GB GE IE ME RS VA",
        "23": "AE GI IL IQ OM SO TL",
        "24": "AD CZ ES MD PK RO SA SE SK TN VG",
        "25": "PT LY ST",
        "26": "IS TR",
        "27": "FR GR IT MC MR SM BI DJ",
        "28": "AL AZ CY DO GT HU LB PL BY SV NI",
        "29": "BR EG PS QA UA",
        "30": "JO KW MU",
        "31": "MT SC",
        "33": "RU",
    }.items()
    for country in countries.split()
}

_SSN = re.compile(
    rf"{_starts('[0-8]')}(?<![.\-][0-8])(?<!\+[0-8])[0-9]{{2}}([ .\-]?)[0-9]{{2}}\1[0-9]{{4}}(?![\w\-]|\.[0-9])"
)
_SSN_WORD = re.compile(
    r"(?:ssn|social security(?: (?:number|no))?)[^0-9A-Za-z]{0,4}(?:(?:is|number) )?$", re.IGNORECASE
)
_NEVER_ISSUED = re.compile(r"000|666|9|...00|.....0000")
# Printed in advertisements and on sample cards; nobody's.
_NOBODYS_SSN = frozenset({"078051120", "219099999", "457555462", "123456789"})

_DOMAIN = re.compile(r"@((?:[^\W_](?:[\w\-]{0,62})\.){1,8}(?:[A-Za-z]{2,24}|xn--[A-Za-z0-9]{1,59}))(?![\w\-])")
_LOCAL = frozenset("._%+-'&#!*~")
MAX_LOCAL = 64
_SCALED_IMAGE = re.compile(r"[0-9]x\.")

_IPV4 = re.compile(rf"{_starts('[0-9]')}(?<![.\-/][0-9])[0-9]{{0,2}}(?:\.[0-9]{{1,3}}){{3}}(?![\w\-]|\.[0-9])")
_VERSION = re.compile(r"(?:version|release|build|section|chapter|firmware|ver|rev)[.:]?\s{0,2}$", re.IGNORECASE)
_COLONS = re.compile(r":[0-9A-Fa-f]{0,4}:")
_HEX = frozenset("0123456789abcdefABCDEF:")
MAX_IPV6 = 39
_DIGIT_OR_AT = re.compile("[0-9@]")


def find(text: str) -> list[Hit]:
    """Every place, in order; none lies in another. `text` is as filters read it."""
    hits: list[Hit] = []
    if _DIGIT_OR_AT.search(text) is None:
        return hits
    for seek in KINDS.values():
        found = list(seek(text))
        hits += found
        # What is one thing is not a second: the digits of an account are no telephone number.
        text = blanked(text, places(found))
    return sorted(hits, key=lambda hit: hit.start)


def _emails(text: str) -> Iterator[Hit]:
    for match in _DOMAIN.finditer(text):
        at = match.start()
        start, least = at, max(0, at - MAX_LOCAL)
        while start > least and (text[start - 1].isalnum() or text[start - 1] in _LOCAL):
            start -= 1
        start += len(text[start:at]) - len(text[start:at].lstrip(".'*-"))
        if start < at and not _SCALED_IMAGE.match(match.group(1)):
            yield Hit("email", start, match.end(), 0.9)


def _ibans(text: str) -> Iterator[Hit]:
    for match in _IBAN.finditer(text):
        start = match.start() - 2
        length = IBAN_LENGTHS.get(text[start : start + 2].upper())
        signs = [match.end() + at for at, sign in enumerate(match.group(1)) if sign.isalnum()]
        if length is None or len(signs) < length - 4:
            continue
        end = signs[length - 5] + 1
        number = (text[start : start + 4] + "".join(text[at] for at in signs[: length - 4])).upper()
        if not text[end : end + 1].isalnum() and _mod97(number):
            yield Hit("iban", start, end, 1.0)


def _mod97(iban: str) -> bool:
    """ISO 13616: rotated by four, letters as 10 to 35, the number leaves 1 when divided by 97."""
    return int("".join(str(int(sign, 36)) for sign in iban[4:] + iban[:4])) % 97 == 1


def _cards(text: str) -> Iterator[Hit]:
    last = 0
    for match in _CARD.finditer(text):
        if match.start() < last:
            continue
        signs = [match.start(), *(match.end() + at for at, sign in enumerate(match.group(1)) if sign.isdigit())]
        for count in range(len(signs), 12, -1):
            end = signs[count - 1] + 1
            if end - match.start() - count > MAX_CARD_GAPS or text[end : end + 1].isalnum():
                continue
            if _is_card("".join(text[at] for at in signs[:count])):
                yield Hit("payment_card", match.start(), end, 0.95)
                last = end
                break


def _is_card(number: str) -> bool:
    return _ISSUERS.fullmatch(number) is not None and _luhn(number)


def _luhn(number: str) -> bool:
    """ISO/IEC 7812: every second digit from the right doubled, the sum of all digits ends in 0."""
    doubled = "".join(str(int(sign) * (2 if at % 2 else 1)) for at, sign in enumerate(reversed(number)))
    return sum(map(int, doubled)) % 10 == 0 and len(set(number)) > 1


def _ssns(text: str) -> Iterator[Hit]:
    for match in _SSN.finditer(text):
        number = re.sub("[^0-9]", "", match.group())
        if _NEVER_ISSUED.match(number) or number in _NOBODYS_SSN:
            continue
        if _SSN_WORD.search(text, max(0, match.start() - 36), match.start()):
            yield Hit("us_ssn", match.start(), match.end(), 0.95)
        elif match.group(1) == "-":
            yield Hit("us_ssn", match.start(), match.end(), 0.85)


def _addresses(text: str) -> Iterator[Hit]:
    for match in _IPV4.finditer(text):
        if _VERSION.search(text, max(0, match.start() - 12), match.start()):
            continue
        try:
            address = ipaddress.IPv4Address(match.group())
        except ValueError:
            continue
        if not (address.is_loopback or address.is_multicast or address.is_unspecified or address.is_reserved):
            yield Hit("ip_address", match.start(), match.end(), 0.7 if address.is_global else 0.3)
    last = 0
    for match in _COLONS.finditer(text):
        if match.start() < last:
            continue
        start, last = _hex_around(text, match.start(), match.end())
        if score := _ipv6(text[start:last], text[start - 1 : start], text[last : last + 1]):
            yield Hit("ip_address", start, last, score)


def _hex_around(text: str, start: int, end: int) -> Span:
    least, most = start - MAX_IPV6, end + MAX_IPV6
    while start > max(0, least) and text[start - 1] in _HEX:
        start -= 1
    while end < min(len(text), most) and text[end] in _HEX:
        end += 1
    return start, end


def _ipv6(shown: str, before: str, after: str) -> float:
    if before.isalnum() or after.isalnum() or len(shown) > MAX_IPV6:
        return 0.0
    try:
        number = int(ipaddress.IPv6Address(shown))
    except ValueError:
        return 0.0
    # Only what is handed out or used within a site or link: `a::b` is a name in some languages.
    if number >> 125 == 0b001:
        return 0.7
    return 0.3 if number >> 121 == 0b1111110 or number >> 118 == 0b1111111010 else 0.0


def _phones(text: str) -> Iterator[Hit]:
    for (start, end), score in phones(text):
        yield Hit("phone", start, end, score)


KINDS: Mapping[str, Callable[[str], Iterator[Hit]]] = {
    "email": _emails,
    "iban": _ibans,
    "payment_card": _cards,
    "us_ssn": _ssns,
    "ip_address": _addresses,
    "phone": _phones,
}
"""In the order in which they are looked for; the surer the form, the earlier."""


def places(hits: Iterable[Hit]) -> list[Span]:
    """Where they are."""
    return [(hit.start, hit.end) for hit in hits]
