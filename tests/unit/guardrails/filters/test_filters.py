from pathlib import Path

from domain.ports import Guard
from guardrails import filters
from guardrails.filters import FILTERS


def test_every_filter_file_is_listed():
    files = {path.stem for path in Path(filters.__file__).parent.glob("*.py")} - {"__init__"}
    assert files == set(FILTERS)


def test_every_filter_goes_by_its_listed_name(make_task_type):
    for name, build in FILTERS.items():
        guard: Guard = build(make_task_type())
        assert guard.id == name
        assert guard.version
        assert guard.hops
