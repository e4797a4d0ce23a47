"""Every file in the folder is in the table."""

from pathlib import Path

import negotiation.strategies
from negotiation.strategies import STRATEGIES


def test_every_strategy_file_is_listed():
    folder = Path(negotiation.strategies.__file__).parent
    assert {path.stem for path in folder.glob("*.py")} - {"__init__"} == set(STRATEGIES)
