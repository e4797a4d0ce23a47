import subprocess
import sys


def test_the_heavy_libraries_are_imported_only_by_the_stages_that_need_them() -> None:
    script = (
        "import sys, evaluation.metrics, evaluation.quality, evaluation.drift, evaluation.report, evaluation.table\n"
        "import evaluation.sample, evaluation.store, evaluation.choosing\n"
        "print([name for name in ('evidently', 'great_expectations', 'pandas') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
