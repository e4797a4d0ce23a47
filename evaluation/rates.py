"""A share with its uncertainty."""

from scipy.stats import binomtest, fisher_exact

from domain.model import Frozen


class Rate(Frozen):
    """`hits` of `n`, with the Wilson score interval at 95 %. Without observations there is no value."""

    hits: int
    n: int
    value: float | None
    low: float | None
    high: float | None


def rate(hits: int, n: int) -> Rate:
    """The share with its Wilson interval (E. B. Wilson, 1927), which stays honest at 0, at 1 and for small n."""
    if n == 0:
        return Rate(hits=0, n=0, value=None, low=None, high=None)
    interval = binomtest(hits, n).proportion_ci(confidence_level=0.95, method="wilson")
    return Rate(hits=hits, n=n, value=hits / n, low=float(interval.low), high=float(interval.high))


class Pairing(Frozen):
    """Two ways of deciding, on the same cases."""

    wins: int
    """Cases that the panel alone got right."""
    losses: int
    """Cases that the other alone got right."""
    n: int
    p: float
    """Exact McNemar test, two-sided."""


def pairing(wins: int, losses: int, n: int) -> Pairing:
    """The exact McNemar test (a binomial test on the discordant pairs)."""
    p = float(binomtest(wins, wins + losses, 0.5).pvalue) if wins + losses else 1.0
    return Pairing(wins=wins, losses=losses, n=n, p=p)


class Difference(Frozen):
    """One share minus another, with an interval at 95 %."""

    value: float
    low: float
    high: float


def difference(now: Rate, before: Rate) -> Difference | None:
    """The difference of two independent shares (Newcombe's hybrid score, 1998); None where one has no value."""
    if now.value is None or now.low is None or now.high is None:
        return None
    if before.value is None or before.low is None or before.high is None:
        return None
    value = now.value - before.value
    below = ((now.value - now.low) ** 2 + (before.high - before.value) ** 2) ** 0.5
    above = ((now.high - now.value) ** 2 + (before.value - before.low) ** 2) ** 0.5
    return Difference(value=value, low=value - below, high=value + above)


def unpaired_p(now: Rate, before: Rate) -> float | None:
    """Fisher's exact test of two independent shares, two-sided; None where one has no value."""
    if now.n == 0 or before.n == 0:
        return None
    counts = [[now.hits, now.n - now.hits], [before.hits, before.n - before.hits]]
    return float(fisher_exact(counts).pvalue)
