"""Text that does nothing but be read: data may come from anywhere, a terminal obeys control characters."""


def printable(text: str, keep: str = "") -> str:
    """The text with what is not printable replaced: escapes, C1 controls, marks that turn the direction of text.

    `keep`: line breaks or tabs, where the text is meant to have them.
    """
    if text.isprintable():
        return text
    return "".join(mark if mark.isprintable() or mark in keep else "\N{REPLACEMENT CHARACTER}" for mark in text)


def one_line(text: str) -> str:
    """The same in one line: white space of any kind is a space."""
    return printable(" ".join(text.split()))


def escaped(json_text: str) -> str:
    """JSON with what is not printable written as escapes: it stays the same value."""
    return "\n".join(line if line.isprintable() else "".join(map(_escape, line)) for line in json_text.split("\n"))


def _escape(mark: str) -> str:
    if mark.isprintable():
        return mark
    code = ord(mark)
    if code < 0x10000:
        return f"\\u{code:04x}"
    high, low = divmod(code - 0x10000, 0x400)
    return f"\\u{0xD800 + high:04x}\\u{0xDC00 + low:04x}"
