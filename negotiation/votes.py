"""Which votes of a negotiation count, and as what."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from domain.proposal import Option, Proposal

SHOWN = 60
"""Characters of a persona's own words that a rejection repeats."""


@dataclass(frozen=True, slots=True)
class Vote:
    """A vote as it counts."""

    persona: str
    option: str | None
    """None abstains."""
    confidence: float
    round: int
    """The round whose vote this is."""
    note: str = ""
    """Why it is not the vote last given; empty when it is."""
    ranking: tuple[str, ...] = ()
    """Options from best to worst, beginning with `option`; empty where only the first choice is known."""


@dataclass(frozen=True, slots=True)
class Veto:
    """A veto that counts: it has a rationale and evidence."""

    persona: str
    option: str


@dataclass(frozen=True, slots=True)
class Ballot:
    """What a strategy counts in one round; every part ordered by persona id."""

    votes: tuple[Vote, ...]
    vetoes: tuple[Veto, ...]
    rejected: tuple[str, ...]
    eligible: tuple[str, ...]
    round: int


def valid_confidence(value: object) -> bool:
    """Whether it is a number in [0, 1]; NaN is not."""
    return isinstance(value, int | float) and not isinstance(value, bool) and 0.0 <= value <= 1.0


def well_formed(proposals: Sequence[Proposal]) -> list[Proposal]:
    """The proposals of personas that gave exactly one with a usable confidence, ordered by persona id."""
    given = Counter(proposal.persona for proposal in proposals)
    usable = (p for p in proposals if given[p.persona] == 1 and valid_confidence(p.confidence))
    return sorted(usable, key=lambda proposal: proposal.persona)


def is_widened(option: Option) -> bool:
    """Whether a counter-proposal brought it; a declared option is its bare action."""
    return bool(option.arguments)


def cast_ballots(
    options: Sequence[Option], eligible: Iterable[str], rounds: Sequence[Sequence[Proposal]], overdue: bool = False
) -> tuple[Ballot, ...]:
    """The ballot of every round. With `overdue`, the last one takes in each absent persona's last valid vote."""
    floor = _Floor(options, eligible, rounds)
    last = len(rounds) - 1
    return tuple(floor.ballot(number, given, overdue and number == last) for number, given in enumerate(rounds))


class _Floor:
    """What stands so far, while the rounds are read in order."""

    def __init__(
        self, options: Sequence[Option], eligible: Iterable[str], rounds: Sequence[Sequence[Proposal]]
    ) -> None:
        self.eligible = tuple(sorted(set(eligible)))
        self.panel = frozenset(self.eligible)
        self.opened = _opened(options, rounds)
        self.standing: dict[str, Vote] = {}
        """Each persona's last vote that was its first or had grounds."""
        self.latest: dict[str, tuple[Vote, Veto | None]] = {}
        self.shown: dict[str, set[str]] = {}
        """Evidence id -> who put it on the table in an earlier round."""

    def ballot(self, number: int, given: Sequence[Proposal], overdue: bool) -> Ballot:
        valid, rejected = self._sort(number, given)
        here: dict[str, tuple[Vote, Veto | None]] = {}
        for proposal in valid:
            veto, problem = self._veto(number, proposal)
            rejected.extend(problem)
            here[proposal.persona] = (self._count(number, proposal), veto)
        self.latest.update(here)
        for proposal in well_formed(given):
            if proposal.persona in self.panel:
                for item in proposal.evidence:
                    self.shown.setdefault(item.id, set()).add(proposal.persona)
        if overdue:
            here = {persona: here.get(persona) or _carried(*entry) for persona, entry in self.latest.items()}
        votes = [here[persona] for persona in sorted(here)]
        return Ballot(
            votes=tuple(vote for vote, _ in votes),
            vetoes=tuple(veto for _, veto in votes if veto is not None),
            rejected=tuple(sorted(rejected)),
            eligible=self.eligible,
            round=number,
        )

    def _sort(self, number: int, given: Sequence[Proposal]) -> tuple[list[Proposal], list[str]]:
        times = Counter(proposal.persona for proposal in given)
        valid: list[Proposal] = []
        rejected: list[str] = []
        for proposal in sorted(given, key=lambda proposal: proposal.persona):
            problem = self._problem(number, proposal, times[proposal.persona])
            if problem is None:
                valid.append(proposal)
            else:
                rejected.append(f"{proposal.persona}: {problem}")
        return valid, rejected

    def _problem(self, number: int, proposal: Proposal, times: int) -> str | None:
        if proposal.persona not in self.panel:
            return "not on the panel"
        if times > 1:
            return f"{times} votes in one round"
        if not valid_confidence(proposal.confidence):
            return f"confidence {str(proposal.confidence)[:SHOWN]} is not in [0, 1]"
        if proposal.option is not None and not self._open(number, proposal.option):
            return f"unknown option '{proposal.option[:SHOWN]}'"
        return self._ranking_problem(number, proposal)

    def _ranking_problem(self, number: int, proposal: Proposal) -> str | None:
        ranking = proposal.ranking
        if not ranking:
            return None
        if ranking[0] != proposal.option:
            return "its ranking does not begin with its vote"
        if len(set(ranking)) < len(ranking):
            return "its ranking names an option twice"
        unknown = next((option for option in ranking if not self._open(number, option)), None)
        return None if unknown is None else f"its ranking names the unknown option '{unknown[:SHOWN]}'"

    def _open(self, number: int, option: str) -> bool:
        return self.opened.get(option, number + 1) <= number

    def _veto(self, number: int, proposal: Proposal) -> tuple[Veto | None, list[str]]:
        if proposal.veto is None:
            return None, []
        if not self._open(number, proposal.veto):
            return None, [f"{proposal.persona}: veto of unknown option '{proposal.veto[:SHOWN]}'"]
        if not proposal.rationale.strip() or not proposal.evidence:
            return None, [f"{proposal.persona}: veto of '{proposal.veto}' lacks a rationale or evidence"]
        return Veto(proposal.persona, proposal.veto), []

    def _count(self, number: int, proposal: Proposal) -> Vote:
        vote = Vote(proposal.persona, proposal.option, float(proposal.confidence), number, "", proposal.ranking)
        before = self.standing.get(vote.persona)
        if before is not None:
            if _said(before) == _said(vote):
                return before
            # Nobody is made to vote: an abstention needs no grounds, and leaves the standing vote to come back to.
            if vote.option is None:
                return vote
            if not self._has_grounds(number, proposal, before):
                note = f"the revision of round {number} cites no new evidence and names no error"
                return replace(before, note=note)
        self.standing[vote.persona] = vote
        return vote

    def _has_grounds(self, number: int, proposal: Proposal, before: Vote) -> bool:
        if proposal.named_error is not None and proposal.named_error.strip():
            return True
        if any(self.shown.get(cited, set()) - {proposal.persona} for cited in proposal.cites):
            return True
        # An option that was not there when the persona last voted: all vote again on it.
        return proposal.option is not None and before.round <= self.opened[proposal.option] < number


def _opened(options: Sequence[Option], rounds: Sequence[Sequence[Proposal]]) -> dict[str, int]:
    """Option name -> the first round that may vote for it: -1 when declared, else its counter-proposal's round."""
    opened = {option.name: -1 for option in options}
    for option in options:
        if is_widened(option):
            for number, given in enumerate(rounds):
                if any(proposal.counter == option for proposal in given):
                    opened[option.name] = number
                    break
    return opened


def _carried(vote: Vote, veto: Veto | None) -> tuple[Vote, Veto | None]:
    return replace(vote, note="its last valid vote before the deadline"), veto


def _said(vote: Vote) -> tuple[str | None, float, tuple[str, ...]]:
    return vote.option, vote.confidence, vote.ranking
