from pathlib import Path

import planning.planners
from planning.planners import PLANNERS


def test_every_planner_file_is_listed():
    files = {file.stem for file in Path(planning.planners.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(PLANNERS)
