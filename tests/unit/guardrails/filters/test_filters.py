from pathlib import Path

from domain.ports import Guard
from guardrails import filters
from guardrails.filters import FILTERS
from guardrails.schema import SIGNALS

CHOSEN = {"presidio", "judge", "middleware", "human_in_the_loop"}
"""Stand at a hop only where the task type selects them."""


def test_every_filter_file_is_listed():
    files = {path.stem for path in Path(filters.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(FILTERS)


def test_every_filter_goes_by_its_listed_name_and_has_its_attribute(make_task_type):
    for name, build in FILTERS.items():
        guard: Guard = build(make_task_type())
        assert guard.id == name
        assert guard.version
        assert bool(guard.hops) is (name not in CHOSEN)
        assert name in SIGNALS
