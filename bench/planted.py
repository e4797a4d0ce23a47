"""What planted faults cost each strategy: `python -m bench.planted [FILE.csv] [--json]`.

Without a file (columns as for `parley votes`) the panels are simulated. Each figure is the change of accuracy on
held-out cases, with the strategy learned anew on cases that have the fault too.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from negotiation.calibration.cases import Case
from negotiation.calibration.fit import fit_learned
from negotiation.calibration.planted import PLANTS
from negotiation.calibration.scoring import score_cases
from negotiation.calibration.selective import accuracy
from negotiation.calibration.simulated import Make, correlated, draw, independent
from negotiation.votebook.cases import cases_of, neutral, options_of
from negotiation.votebook.reading import read_votes

STRATEGIES = ("plurality", "confidence_weighted", "log_odds", "calibrated_pool")
Sets = list[tuple[Sequence[str], list[Case]]]
Drops = dict[str, dict[str, float]]


def simulated(seed: int) -> Sets:
    """Eight panels, half of them with a shared error."""
    rng, found = np.random.default_rng(seed), []
    for number in range(8):
        rates, options = rng.uniform(0.5, 0.8, int(rng.integers(5, 10))).tolist(), int(rng.integers(2, 6))
        make: Make = independent(rates, options) if number % 2 else correlated(rates, options, shared=0.4)
        drawn = draw(make, 2_000, rng)
        found.append((drawn.options, list(drawn.cases)))
    return found


def from_file(path: Path) -> Sets:
    """The file's items."""
    with path.open(newline="", encoding="utf-8-sig") as lines:
        book = read_votes(lines)
    return [(options_of(book.labels), cases_of(book.items, neutral(book.items)))]


def accuracies(options: Sequence[str], learn: Sequence[Case], test: Sequence[Case], seed: int) -> dict[str, float]:
    """Strategy -> accuracy on the test cases."""
    learned = fit_learned(options, learn, seed)
    return {name: accuracy(score_cases(name, {}, options, test, learned)) for name in STRATEGIES}


def drops(sets: Sets, splits: int, seed: int) -> Drops:
    """Fault -> strategy -> mean drop of accuracy; under `no fault` the accuracy itself."""
    found: dict[str, dict[str, list[float]]] = {}
    for options, cases in sets:
        for split in range(splits):
            rng = np.random.default_rng((seed, split))
            order = rng.permutation(len(cases))
            parts = [[cases[place] for place in half] for half in np.array_split(order, 2)]
            sound = accuracies(options, parts[0], parts[1], seed)
            for fault, plant in {"no fault": None, **PLANTS}.items():
                spoilt = plant(cases, options, rng) if plant else cases
                halves = [[spoilt[place] for place in half] for half in np.array_split(order, 2)]
                now = sound if plant is None else accuracies(options, halves[0], halves[1], seed)
                for name in STRATEGIES:
                    change = now[name] if plant is None else sound[name] - now[name]
                    found.setdefault(fault, {}).setdefault(name, []).append(change)
    return {fault: {name: float(np.mean(of)) for name, of in row.items()} for fault, row in found.items()}


def main() -> None:
    """Measure, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", nargs="?", type=Path)
    parser.add_argument("--splits", type=int, default=3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    found = drops(from_file(given.file) if given.file else simulated(given.seed), given.splits, given.seed)
    if given.json:
        print(json.dumps(found))
        return
    print(f"{'':28}" + "".join(f"{name:>20}" for name in STRATEGIES))
    for fault, row in found.items():
        sign = "" if fault == "no fault" else "-"
        print(f"{fault:28}" + "".join(f"{f'{sign}{row[name]:.4f}'.replace('--', '+'):>20}" for name in STRATEGIES))
    print("no fault: accuracy; below it how much of it each fault costs", file=sys.stderr)


if __name__ == "__main__":
    main()
