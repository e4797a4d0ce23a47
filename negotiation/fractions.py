"""Exact fractions from configuration."""

from fractions import Fraction
from functools import lru_cache


@lru_cache(maxsize=64)
def exact_fraction(text: str) -> Fraction:
    """A fraction in (0, 1] such as "2/3" or "0.5", exactly. Raises ValueError."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"expected a fraction such as 2/3, got '{text}'") from None
    if not 0 < value <= 1:
        raise ValueError(f"expected a fraction above 0 and at most 1, got '{text}'")
    return value
