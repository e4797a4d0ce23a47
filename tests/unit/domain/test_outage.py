"""An outage is told of when it begins, now and then, and when it is over."""

from domain.outage import Outage


def test_it_is_told_at_a_sane_rate() -> None:
    told: list[str] = []
    now = [100.0]
    outage = Outage("claiming fails", told.append, every=15.0, clock=lambda: now[0])
    outage.is_over()
    assert told == []
    for _ in range(40):
        outage.goes_on("refused\n")
        now[0] += 1.0
    assert told == ["claiming fails, trying again: refused"] * 3
    outage.is_over()
    outage.is_over()
    assert told[3:] == ["claiming fails: over after 40 s"]
    outage.goes_on("gone")
    assert told[4:] == ["claiming fails, trying again: gone"]
