"""Whether the audits still bear out a certified error bound: a Bernoulli CUSUM (Reynolds and Stoumbos, 1999)."""

from collections.abc import Sequence
from dataclasses import dataclass
from math import log, log1p

LIMIT = log(100.0)
"""The statistic at which the alarm goes: the audits speak 100 to 1 for twice the certified share of errors."""


@dataclass(frozen=True, slots=True)
class Alarm:
    """The audits found more errors than was certified."""

    after: int
    """How many audits it took."""
    statistic: float
    limit: float


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one audit adds to the statistic: the log-likelihood ratio of the two shares of errors."""

    wrong: float
    right: float


def evidence(alpha: float) -> Evidence:
    """For a share of errors of 2 alpha against alpha; from alpha 1/3 on the half-way to 1 stands for 2 alpha."""
    if not 0.0 < alpha < 1.0:
        raise ValueError(f"alpha must lie between 0 and 1, not {alpha:g}")
    worse = min(2.0 * alpha, (1.0 + alpha) / 2.0)
    return Evidence(wrong=log(worse / alpha), right=log1p(-worse) - log1p(-alpha))


def alarm(errors: Sequence[bool], alpha: float) -> Alarm | None:
    """The first alarm on audits in their order, True for a wrong decision; None while the bound is borne out.

    S_0 = 0, S_t = max(0, S_{t-1} + log-likelihood ratio of audit t), alarm at S_t >= log 100. With exactly alpha wrong
    the mean number of audits to a false alarm is at least 100 by Lorden's inequality, and measured (1,500 simulated
    runs each) 17,700 / 7,000 / 3,600 / 1,600 for alpha 2 / 5 / 10 / 20 %; with alpha/2 wrong, which is nearer to what
    a certificate leaves, 5,000 audits raise one in 0.1 / 0.3 / 0.3 / 1.1 % of the runs. With 2 alpha wrong the alarm
    comes after 490 / 190 / 90 / 40 audits in the mean.
    """
    added = evidence(alpha)
    statistic = 0.0
    for count, wrong in enumerate(errors, start=1):
        statistic = max(0.0, statistic + (added.wrong if wrong else added.right))
        if statistic >= LIMIT:
            return Alarm(after=count, statistic=statistic, limit=LIMIT)
    return None
