"""An explanation as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any


def as_markdown(explanation: Mapping[str, Any]) -> str:
    """The explanation for people to read. What personas wrote stays text: it cannot form tables, headings or HTML."""
    result = explanation["result"]
    option = f": {_text(result['option'])}" if result["option"] is not None else ""
    blocks = [
        f"## {_text(result['kind'].replace('_', ' ').capitalize())}{option}",
        f"{_text(result['reason'])}. Rule: {_text(result['rule'])}. Round {result['round']}. "
        f"{result['present']} of {result['eligible']} present, {result['casting']} voting.",
        f"Next: {_text(explanation['step'])}" if explanation["step"] else "",
        _table(("Option", "Score"), ([name, _number(score)] for name, score in result["tally"].items())),
        _table(
            ("Persona", "Votes for", "Weight", "Source"),
            (
                [item["persona"], item["option"] or "abstains", _number(item["weight"]), item["source"]]
                for item in result["weights"]
            ),
        ),
        _table(
            ("Threshold", "Needed", "Reached", "Distance"),
            (
                [item["measure"], *(_number(item[key]) for key in ("threshold", "value", "distance"))]
                for item in explanation["requirements"]
            ),
        ),
        _pivotal(explanation["pivotal"]),
        _dissent(explanation["strongest_dissent"]),
        *(_veto(veto) for veto in explanation["vetoes"]),
        _list("What would have changed it", explanation["would_have_changed"]),
        _list("Not counted", result["rejected"]),
        _rounds(explanation["rounds"]),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _text(value: Any) -> str:
    """One line in which nothing is markup."""
    line = " ".join(str(value).split())
    for mark in "\\`*[]|#~":
        line = line.replace(mark, f"\\{mark}")
    return line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _number(value: float) -> str:
    return f"{value:.4g}"


def _table(head: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    body = [f"| {' | '.join(_text(cell) for cell in row)} |" for row in rows]
    if not body:
        return ""
    return "\n".join([f"| {' | '.join(head)} |", f"|{' --- |' * len(head)}", *body])


def _list(title: str, lines: Sequence[Any]) -> str:
    return "\n".join([f"### {title}", "", *(f"- {_text(line)}" for line in lines)]) if lines else ""


def _pivotal(turns: Sequence[Mapping[str, Any]]) -> str:
    if not turns:
        return "No single persona is pivotal."
    return f"Pivotal: {', '.join(_text(turn['persona']) for turn in turns)}."


def _evidence(item: Mapping[str, Any]) -> str:
    value = f" = {item['value']}" if item["value"] is not None else ""
    note = f" ({item['note']})" if item["note"] else ""
    return f"{item['id']}{value}{note}"


def _grounds(title: str, item: Mapping[str, Any]) -> str:
    lines = [f"### {title}", "", _text(item["rationale"])]
    evidence = [f"- {_text(_evidence(each))}" for each in item["evidence"]]
    return "\n".join([*lines, "", *evidence] if evidence else lines)


def _dissent(item: Mapping[str, Any] | None) -> str:
    if item is None:
        return ""
    return _grounds(f"Strongest dissent: {_text(item['persona'])} for {_text(item['option'])}", item)


def _veto(item: Mapping[str, Any]) -> str:
    return _grounds(f"Veto: {_text(item['persona'])} against {_text(item['option'])}", item)


def _rounds(rounds: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        [each["round"], vote["persona"], vote["option"] or "abstains", _number(vote["confidence"]), vote["note"]]
        for each in rounds
        for vote in each["votes"]
    ]
    results = _list("Rounds", [f"round {each['round']}: {each['kind']}, {each['reason']}" for each in rounds])
    return "\n\n".join(filter(None, [results, _table(("Round", "Persona", "Vote", "Confidence", "Note"), rows)]))
