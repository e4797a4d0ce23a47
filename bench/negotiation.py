"""What deciding costs: one decision, and 10,000 recorded ones again under five strategies, beside crowd-kit.

The last line is JSON. Times are medians of repeated runs in one process, taken in turn.
"""

import json
import statistics
import sys
import time
from collections.abc import Callable, Sequence

import numpy as np

from domain.calibration import Certificate, Pool, PoolWeight
from domain.decision import Result, ResultKind
from domain.proposal import Option, Proposal
from domain.task_type import ActionSpec, ContextContract, StrategySpec, SubtaskSpec
from negotiation.calibration.cases import Case
from negotiation.calibration.scoring import score_cases
from negotiation.learned import Learned
from negotiation.replay import Record, redecide
from negotiation.settle import Terms, settle
from negotiation.votes import Ballot, cast_ballots

PERSONAS = tuple(f"persona_{number:02d}" for number in range(10))
OPTIONS = tuple(Option(name=name, action=name) for name in ("approve", "decline", "refer"))
NAMES = tuple(option.name for option in OPTIONS)
STRATEGIES = ("plurality", "consensus", "confidence_weighted", "log_odds", "calibrated_pool")
RECORDS = 10_000
DECISIONS = 2_000
SEED = 7


def tell(said: str) -> None:
    """Progress."""
    print(said, file=sys.stderr, flush=True)


def learned() -> Learned:
    """A calibration with weights for the whole panel."""
    weights = {
        persona: PoolWeight(base=0.4 + 0.05 * place, slope=0.3, centre=0.8) for place, persona in enumerate(PERSONAS)
    }
    certificates = {
        name: Certificate(
            strategy=name, measure="posterior", alpha=0.05, delta=0.1, threshold=0.8, cases=400, reason="measured"
        )
        for name in STRATEGIES
    }
    stranger = PoolWeight(base=0.4, slope=0.3, centre=0.8)
    pool = Pool(weights=weights, stranger=stranger, scale=0.6, ridge=10.0, cases=400)
    rates = {persona: 0.55 + 0.03 * place for place, persona in enumerate(PERSONAS)}
    return Learned(version=1, rates=rates, mean_rate=0.65, pool=pool, certificates=certificates)


def proposals(generator: np.random.Generator) -> list[Proposal]:
    """One blind round in which most are right."""
    right = generator.choice(NAMES)
    said = [right if generator.random() < 0.65 else generator.choice(NAMES) for _ in PERSONAS]
    return [
        Proposal(
            persona=persona,
            persona_version=1,
            round=0,
            option=str(option),
            confidence=float(generator.uniform(0.5, 0.99)),
            rationale="as scored",
        )
        for persona, option in zip(PERSONAS, said, strict=True)
    ]


def subtask() -> SubtaskSpec:
    """The subtask that the records are of."""
    return SubtaskSpec(
        id="choice",
        question="Which?",
        panel=PERSONAS,
        actions=tuple(ActionSpec(name=name) for name in NAMES),
        context=ContextContract(working=("x",)),
        strategy=StrategySpec(name="plurality", rounds=1),
        executor="record_decision",
    )


def median_seconds(runs: int, *measured: Callable[[], object]) -> list[float]:
    """The median time of each, run in turn so that a busy moment hits all alike."""
    times: list[list[float]] = [[] for _ in measured]
    for _ in range(runs):
        for place, run in enumerate(measured):
            start = time.perf_counter()
            run()
            times[place].append(time.perf_counter() - start)
    return [statistics.median(taken) for taken in times]


def one_decision(rounds: Sequence[list[Proposal]]) -> dict[str, float]:
    """Milliseconds of one decision on a panel of 10, votes to result."""
    ballots: list[Ballot] = [cast_ballots(OPTIONS, PERSONAS, [given])[0] for given in rounds[:DECISIONS]]
    terms = Terms(learned())

    def decide(name: str) -> Callable[[], object]:
        spec = StrategySpec(name=name, rounds=1)
        return lambda: [settle(spec, NAMES, ballot, terms) for ballot in ballots]

    pool, plurality = median_seconds(5, decide("calibrated_pool"), decide("plurality"))
    each = 1000 / len(ballots)
    return {
        "calibrated_pool_ms": round(pool * each, 4),
        "plurality_ms": round(plurality * each, 4),
        "ratio": round(pool / plurality, 2),
    }


def again(rounds: Sequence[list[Proposal]]) -> float:
    """Seconds to decide every record once more under each strategy."""
    spec, known = subtask(), learned()
    recorded = Result(
        kind=ResultKind.DECIDED,
        option=NAMES[0],
        margin=0.0,
        tally={},
        weights=(),
        dissent=(),
        rule="",
        round=0,
        reason="",
    )

    def run() -> None:
        for given in rounds:
            record = Record(
                task_id="t",
                subtask_id=spec.id,
                options=OPTIONS,
                eligible=PERSONAS,
                rounds=[given],
                overdue=False,
                stake=None,
                recorded=recorded,
                spec=spec,
                right=NAMES[0],
            )
            for name in STRATEGIES:
                redecide(record, StrategySpec(name=name, rounds=1), known)

    return median_seconds(3, run)[0]


def votes_alone(rounds: Sequence[list[Proposal]]) -> float:
    """Seconds of the plurality of every round, without rules and reasons: what crowd-kit's function does."""
    cases = [
        Case(key=str(task), votes=cast_ballots(OPTIONS, PERSONAS, [given])[0].votes, right=NAMES[0])
        for task, given in enumerate(rounds)
    ]
    return median_seconds(3, lambda: score_cases("plurality", {}, NAMES, cases, None))[0]


def crowd_kit(rounds: Sequence[list[Proposal]]) -> float:
    """Seconds of crowd-kit's majority vote over the same votes; its import is not counted."""
    import pandas as pd
    from crowdkit.aggregation import MajorityVote

    rows = [(task, vote.persona, vote.option) for task, given in enumerate(rounds) for vote in given]
    table = pd.DataFrame(rows, columns=["task", "worker", "label"])
    return median_seconds(3, lambda: MajorityVote().fit_predict(table))[0]


def main() -> None:
    """Measure, and print the figures."""
    generator = np.random.default_rng(SEED)
    tell(f"drawing {RECORDS} rounds of {len(PERSONAS)} personas")
    rounds = [proposals(generator) for _ in range(RECORDS)]
    tell("one decision")
    decision = one_decision(rounds)
    tell("deciding again")
    seconds = again(rounds)
    tell("crowd-kit")
    peer = crowd_kit(rounds)
    alone = votes_alone(rounds)
    found = {
        "one_decision_of_10": decision,
        "again": {"records": RECORDS, "strategies": len(STRATEGIES), "seconds": round(seconds, 2)},
        "crowd_kit_majority_vote": {"records": RECORDS, "seconds": round(peer, 3)},
        "plurality_votes_alone": {"records": RECORDS, "seconds": round(alone, 3)},
        "ratio_votes_alone": round(alone / peer, 2),
        "ratio_per_strategy": round(seconds / len(STRATEGIES) / peer, 1),
    }
    tell("")
    tell(
        f"one decision, panel of 10: calibrated_pool {decision['calibrated_pool_ms']:.3f} ms, "
        f"plurality {decision['plurality_ms']:.3f} ms, ratio {decision['ratio']:.2f}"
    )
    tell(
        f"{RECORDS} records again under {len(STRATEGIES)} strategies, rules and reasons included: {seconds:.1f} s; "
        f"votes alone: {alone:.2f} s, crowd-kit's majority vote {peer:.2f} s"
    )
    print(json.dumps(found))


if __name__ == "__main__":
    main()
