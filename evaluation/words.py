"""How figures are written for people."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    # Figures are written where nothing is computed, and what computes them takes seconds to load.
    from evaluation.rates import Difference, Rate

NONE = "–"


def percent(share: float | None) -> str:
    """A share as a percentage with one decimal."""
    return NONE if share is None else f"{100 * share:.1f} %"


def interval(rate: "Rate") -> str:
    """The share, its interval and what it was counted on."""
    if rate.value is None or rate.low is None or rate.high is None:
        return f"{NONE} (n = 0)"
    return f"{percent(rate.value)} [{100 * rate.low:.1f}, {100 * rate.high:.1f}] (n = {rate.n})"


def change(found: "Difference | None") -> str:
    """A difference of shares, in percentage points."""
    if found is None:
        return NONE
    return f"{100 * found.value:+.1f} pp [{100 * found.low:+.1f}, {100 * found.high:+.1f}]"


def seconds(value: float | None) -> str:
    """A duration in the unit that suits it."""
    if value is None:
        return NONE
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if value >= 2 * size:
            return f"{value / size:.1f} {unit}"
    return f"{value:.2f} s"


def number(value: float | None, digits: int = 3) -> str:
    """A plain figure; whole numbers with thousands apart."""
    if value is None:
        return NONE
    return f"{value:,}" if isinstance(value, int) else f"{value:,.{digits}f}"


def cell(value: object) -> str:
    """Text that can neither end a markdown table's cell nor bring markup of its own."""
    text = " ".join(str(value).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    for character in "\\|`*_[]":
        text = text.replace(character, f"\\{character}")
    return text
