"""Leave-one-source-out figures of the injection detector: `python -m bench.detector --corpora FOLDER [--json]`.

FOLDER holds attacks.csv, benign.csv and hard_benign.csv with the columns text, label and source. The corpora are not
part of the project; `guardrails.training.measuring` says what is measured.
"""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from time import perf_counter

from threadpoolctl import threadpool_limits

from guardrails.training.corpora import read_corpora
from guardrails.training.fit import EACH, SEED
from guardrails.training.fitting import Design, Prepared
from guardrails.training.measuring import LeftOut, Measured, measure
from guardrails.training.own_texts import own_texts


def measured(folder: Path, design: Design) -> Measured:
    """The figures. Raises InputError for a folder that cannot be used."""
    prepared, own = Prepared(read_corpora(folder)), Prepared(own_texts(EACH, SEED))
    return measure(prepared, LeftOut(prepared, own, design))


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--corpora", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--json", action="store_true", dest="as_json")
    for name, value in asdict(Design()).items():
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value)
    given = parser.parse_args()
    start = perf_counter()
    design = Design(**{name: getattr(given, name) for name in asdict(Design())})
    with threadpool_limits(limits=1):
        found = measured(given.corpora, design)
    if given.as_json:
        print(json.dumps(asdict(found) | {"design": asdict(design), "seconds": round(perf_counter() - start, 1)}))
        return
    print(f"{'source':<22}{'kind':<18}{'texts':>6}{'flagged':>9}")
    for rate in found.rates:
        print(f"{rate.source:<22}{rate.kind:<18}{rate.texts:>6}{rate.flagged:>9.3f}")
    for name, value in asdict(found).items():
        if name != "rates":
            print(f"{name:<40}{value:>6.3f}")


if __name__ == "__main__":
    main()
