"""Random ballots and calibrations, and the result of a strategy on them."""

from typing import Any

from hypothesis import strategies as st

from domain.calibration import Certificate, Pool, PoolWeight
from domain.decision import Result
from domain.proposal import Evidence, Option, Proposal
from domain.task_type import StrategySpec
from negotiation.calibration.scoring import LEAST_THRESHOLD
from negotiation.learned import Learned
from negotiation.rounds import Terms, resolve
from negotiation.strategies import STRATEGIES

NAMES = ("a", "b", "c")
OPTIONS = tuple(Option(name=name, action=name) for name in NAMES)
PANEL = tuple(f"p{number}" for number in range(7))
PARAMETERS: dict[str, dict[str, Any]] = {"lead_decides": {"lead": ["p1", "p0", "p3"]}}

LOW: st.SearchStrategy[float | None] = st.floats(0.0, 0.5, exclude_min=True)
ANY: st.SearchStrategy[float | None] = st.sampled_from((LEAST_THRESHOLD, 0.4, 0.9, None))
"""Certified thresholds; None certifies nothing."""

confidences = st.floats(0.0, 1.0)
choices = st.sampled_from((*NAMES, None))


def proposal(persona: str, option: str | None, confidence: float, round: int = 0, **more: Any) -> Proposal:
    fields = {"persona_version": 1, "rationale": "why", "evidence": (Evidence(id=f"field:{persona}"),), **more}
    return Proposal(persona=persona, option=option, confidence=confidence, round=round, **fields)


@st.composite
def rankings(draw: st.DrawFn) -> tuple[str, ...]:
    """Nothing, or some of the options."""
    return tuple(draw(st.permutations(NAMES)))[: draw(st.integers(0, len(NAMES)))]


said = st.one_of(rankings().map(lambda order: (order[0] if order else None, order)), choices.map(lambda one: (one, ())))
"""An option with a ranking that begins with it or is empty."""
ballots = st.lists(st.tuples(said, confidences), max_size=len(PANEL)).map(
    lambda votes: [
        proposal(persona, option, confidence, ranking=ranking)
        for persona, ((option, ranking), confidence) in zip(PANEL, votes, strict=False)
    ]
)


@st.composite
def unanimous(draw: st.DrawFn) -> tuple[str, list[Proposal]]:
    """An option, and votes for it alone."""
    option = draw(st.sampled_from(NAMES))
    given_ = draw(st.lists(st.floats(0.01, 1.0), min_size=2, max_size=7))
    rest = st.permutations([name for name in NAMES if name != option])
    rankings = [draw(st.sampled_from(((), (option, *draw(rest))))) for _ in given_]
    return option, [
        proposal(persona, option, confidence, ranking=ranking)
        for persona, confidence, ranking in zip(PANEL, given_, rankings, strict=False)
    ]


heard_rounds = st.lists(st.lists(st.tuples(choices, confidences, st.booleans()), max_size=5), min_size=1, max_size=4)


def heard(rounds: list[list[tuple[str | None, float, bool]]]) -> list[list[Proposal]]:
    """Proposals of these rounds; some votes rank all options, some cite what others have shown."""
    cites = ("field:p0", "field:p1")
    return [
        [
            proposal(
                persona,
                option,
                confidence,
                number,
                cites=cites if revises else (),
                ranking=(option, *(name for name in NAMES if name != option)) if revises and option else (),
            )
            for persona, (option, confidence, revises) in zip(PANEL, given_round, strict=False)
        ]
        for number, given_round in enumerate(rounds)
    ]


def spec_of(name: str, **more: Any) -> StrategySpec:
    return StrategySpec(name=name, parameters=PARAMETERS.get(name, {}), **{"quorum": "1/100", "min_casting": 1, **more})


def learned(
    rates: dict[str, float], weights: dict[str, PoolWeight], threshold: float | None = LEAST_THRESHOLD
) -> Learned:
    """A calibration; personas without a weight of their own count 1."""
    stranger = PoolWeight(base=1.0, slope=0.0, centre=0.0)
    certificate = Certificate(
        strategy="calibrated_pool",
        measure="posterior",
        alpha=0.05,
        delta=0.1,
        threshold=threshold,
        cases=100,
        reason="drawn",
    )
    return Learned(
        version=3,
        rates=rates,
        mean_rate=0.7,
        pool=Pool(weights=weights, stranger=stranger, scale=0.5, ridge=1.0, cases=100),
        certificates={"calibrated_pool": certificate},
    )


@st.composite
def terms_of(
    draw: st.DrawFn,
    name: str,
    least_slope: float = -1.0,
    thresholds: st.SearchStrategy[float | None] = LOW,
) -> Terms:
    """A calibration where the strategy needs one."""
    if STRATEGIES[name].needs == "nothing":
        return Terms()
    known = draw(st.sets(st.sampled_from(PANEL)))
    rates = {persona: draw(st.floats(0.01, 0.99)) for persona in sorted(known)}
    weight = st.builds(
        PoolWeight, base=st.floats(-2.0, 4.0), slope=st.floats(least_slope, 2.0), centre=st.floats(-1.0, 1.0)
    )
    weights = {persona: draw(weight) for persona in sorted(known)}
    return Terms(learned(rates, weights, draw(thresholds)))


def decide(name: str, votes: list[Proposal], terms: Terms | None = None, **more: Any) -> Result:
    return resolve(spec_of(name, **more), OPTIONS, PANEL, [votes], terms=terms)


def lifted(vote: Proposal, winner: str, confidence: float) -> Proposal:
    """The vote with the winner moved to the front of its order, which else stays as it is."""
    order = vote.ranking or ((vote.option,) if vote.option is not None else ())
    ranking = (winner, *(option for option in order if option != winner))
    return vote.model_copy(update={"option": winner, "ranking": ranking, "confidence": confidence})
