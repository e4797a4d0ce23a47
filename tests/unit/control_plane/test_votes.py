"""The command votes, on files made here."""

import json
import random
from pathlib import Path
from typing import Any

import pytest

from control_plane.cli import votes as command
from control_plane.cli.main import main
from control_plane.services import votes as service
from negotiation.strategies import STRATEGIES
from tests.unit.negotiation.votebook.made import as_csv, dense

FIGURES = {
    "accuracy",
    "accuracy_sd",
    "aurc",
    "augrc",
    "coverage_at_5",
    "coverage_at_2",
    "calibration_error",
    "certified_coverage",
    "certified_error",
    "certified",
}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    made = tmp_path / "votes.csv"
    made.write_text(as_csv(dense(60)), encoding="utf-8")
    return made


def _run(capsys: pytest.CaptureFixture[str], *arguments: object, code: int = 0) -> Any:
    assert main(["votes", *map(str, arguments), "--json"]) == code
    return json.loads(capsys.readouterr().out)


def test_the_json_has_everything(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    found = _run(capsys, file, "--splits", 2)
    assert list(found["strategies"]) == list(STRATEGIES)
    for figures in found["strategies"].values():
        assert set(figures) == FIGURES
        assert set(figures["certified"]) == {"0.05", "0.1", "0.2"}
        assert set(figures["certified"]["0.1"]) == {"coverage", "error"}
        assert all(isinstance(figures[name], float) for name in FIGURES - {"certified"})
    assert set(found["limits"]) == {"best_single", "pool_all_labels", "any_right"}
    assert [found[name] for name in ("items", "annotators", "labels", "votes")] == [60, 3, 3, 180]
    assert [found[name] for name in ("splits", "seed", "alpha", "delta")] == [2, 0, 0.05, 0.1]
    assert (found["bad_rows"], found["bad_row_count"]) == ([], 0)


def test_same_seed_and_shuffled_rows_give_the_same_bytes(
    file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = dense(60)
    other = tmp_path / "shuffled.csv"
    other.write_bytes(b"\xef\xbb\xbf" + as_csv(random.Random(2).sample(rows, len(rows)), "\r\n").encode())
    texts = [_run(capsys, one, "--splits", 2) | {"seconds": 0} for one in (file, file, other)]
    assert json.dumps(texts[0]) == json.dumps(texts[1]) == json.dumps(texts[2])
    assert _run(capsys, file, "--splits", 2, "--seed", 7)["strategies"] != texts[0]["strategies"]


def test_bad_rows_are_listed_and_left_out(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = file.read_text(encoding="utf-8")
    file.write_text(rows + "i1,a9,x,2,x\n,a,x,,x\n", encoding="utf-8")
    found = _run(capsys, file, "--splits", 1, "--strategies", "plurality")
    problem = "confidence: got '2', expected a number in [0, 1] or nothing"
    assert found["bad_rows"] == [{"line": 182, "problem": problem}, {"line": 183, "problem": "item is empty"}]
    assert (found["bad_row_count"], found["votes"]) == (2, 180)
    assert main(["votes", str(file), "--splits", "1", "--strategies", "plurality"]) == 0
    shown = capsys.readouterr()
    assert f"line 182: {problem}" in shown.err
    assert "2 rows left out" in shown.out


def test_the_tables(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert (
        main(["votes", str(file), "--splits", "1", "--strategies", "calibrated_pool,plurality", "--alpha", "0.01"]) == 0
    )
    shown = capsys.readouterr()
    assert shown.err == ""
    assert [line.split()[0] for line in shown.out.splitlines() if line.startswith(("plur", "calib"))] == [
        "plurality",
        "calibrated_pool",
    ] * 2
    assert "no coverage certified at 1 %: plurality, calibrated_pool" in shown.out
    assert all(limit in shown.out for limit in ("best_single", "pool_all_labels", "any_right", "gain"))


def test_gain_has_no_value_where_the_limits_leave_no_room() -> None:
    found = {"limits": {"best_single": 0.5, "pool_all_labels": 0.75}, "strategies": {"borda": {"accuracy": 0.625}}}
    assert service.gains(found) == {"borda": 0.5}
    assert service.gains(found | {"limits": {"best_single": 0.5, "pool_all_labels": 0.5}}) == {"borda": None}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--strategies", "plurality,magic"], "unknown strategy 'magic': choose from plurality, "),
        (["--strategies", ","], "no strategy named: choose from"),
        (["--alpha", "0"], "--alpha 0: expected"),
        (["--delta", "nan"], "--delta nan: expected"),
        (["--splits", "0"], "--splits 0: expected"),
    ],
)
def test_wrong_options_are_refused(
    arguments: list[str], message: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["votes", str(file), *arguments]) == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"item,annotator\n1,a\n", "no column label, confidence, gold: it has 'item', 'annotator'; expected"),
        (b"item,annotator,label,confidence,gold\n1,a,\xff,,x\n", "line 2: byte 41 is not UTF-8"),
        ("item,annotator,label,confidence,gold\n".encode("utf-16"), "is not UTF-8"),
        (b"item,annotator,label,confidence,gold\n1,a,\0,,x\n", "line 2: holds a NUL"),
        (b"", "no column item"),
        (b"item,annotator,label,confidence,gold\n1,a,x,,x\n", "at least two"),
    ],
)
def test_unusable_files_are_refused(
    content: bytes, message: str, file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file.write_bytes(content)
    assert _run(capsys, file, code=2)["error"]["exit_code"] == 2
    assert main(["votes", str(file)]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert str(file) in shown


def test_no_file_a_folder_and_a_file_too_large(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        assert main(["votes", str(path)]) == 2
        assert "cannot be read" in capsys.readouterr().err
    monkeypatch.setattr(service, "MAX_BYTES", 10)
    assert main(["votes", str(file)]) == 2
    assert "larger than 10 bytes" in capsys.readouterr().err


def test_what_is_learned_from_is_said_as_it_is(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["votes", "--help"]) == 0
    told = " ".join(capsys.readouterr().out.split())
    assert "half of the other (2,000 at most) is learned from, the rest certifies" in told
    assert main(["votes", str(file), "--splits", "1", "--strategies", "plurality"]) == 0
    assert "the annotator that was best on the items learned from" in capsys.readouterr().out


def test_an_interrupt_is_130(file: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(service, "examine", interrupted)
    assert main(["votes", str(file)]) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_only_the_first_bad_rows_are_told(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file.write_text(file.read_text(encoding="utf-8") + ",,,,\n" * 50, encoding="utf-8")
    assert main(["votes", str(file), "--splits", "1", "--strategies", "plurality"]) == 0
    told = capsys.readouterr().err.splitlines()
    assert len(told) == command._NOTED + 1
    assert "50 rows left out in all" in told[-1]
