"""A long text in overlapping pieces, so that a pattern of somebody else's takes time in step with its length."""

from collections.abc import Iterable, Iterator

Span = tuple[int, int]


def windows(text: str, size: int, overlap: int) -> Iterator[tuple[int, str]]:
    """Pieces of at most `size` characters with where they begin; neighbours share `overlap`."""
    start = 0
    while True:
        yield start, text[start : start + size]
        if start + size >= len(text):
            return
        start += size - overlap


def merged(spans: Iterable[Span]) -> list[Span]:
    """The same characters in as few spans as can be, in order."""
    found: list[Span] = []
    for start, end in sorted(spans):
        if found and start <= found[-1][1]:
            found[-1] = (found[-1][0], max(end, found[-1][1]))
        else:
            found.append((start, end))
    return found


def blanked(text: str, spans: Iterable[Span]) -> str:
    """The text with nothing to be read in these places, and every other character where it was."""
    pieces, last = [], 0
    for start, end in merged(spans):
        pieces += [text[last:start], "\0" * (end - start)]
        last = end
    return "".join([*pieces, text[last:]])
