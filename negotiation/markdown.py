"""An explanation as Markdown."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from negotiation.markdown_text import as_items, as_number, as_table, as_text

Said = Mapping[str, Any]


def as_markdown(explanation: Said) -> str:
    """The explanation for people to read. What personas wrote stays text: it cannot form tables, headings or HTML."""
    result = explanation["result"]
    blocks = [
        *_head(explanation),
        _scores(result),
        _weights(explanation),
        _requirements(explanation["requirements"]),
        _certificate(explanation["certificate"]),
        _blocking(explanation["blocking"]),
        _pivotal(explanation["pivotal"]),
        *_conflict(explanation["conflict"]),
        _dissent(explanation["strongest_dissent"]),
        *(_veto(veto) for veto in explanation["vetoes"]),
        as_items("What would have changed it", explanation["would_have_changed"]),
        _confidences(explanation["confidences"]),
        as_items("Not counted", result["rejected"]),
        _rounds(explanation["rounds"]),
    ]
    return "\n\n".join(block for block in blocks if block) + "\n"


def _head(explanation: Said) -> list[str]:
    result, missing = explanation["result"], explanation["counted_instead"]
    option = f": {as_text(result['option'])}" if result["option"] is not None else ""
    return [
        f"## {as_text(result['kind'].replace('_', ' ').capitalize())}{option}",
        f"{as_text(result['reason'])}. Rule: {as_text(result['rule'])}. Round {result['round']}. "
        f"{result['present']} of {result['eligible']} present, {result['casting']} voting.",
        f"Next: {as_text(explanation['step'])}" if explanation["step"] else "",
        f"{as_text(result['rule']).capitalize()} was counted in place of {as_text(explanation['strategy']['name'])}: "
        f"{as_text(missing)}."
        if missing
        else "",
    ]


def _scores(result: Said) -> str:
    posterior = result["posterior"]
    if posterior is None:
        return as_table(("Option", "Score"), ([name, as_number(score)] for name, score in result["tally"].items()))
    rows = ([name, as_number(score), as_number(posterior[name])] for name, score in result["tally"].items())
    return as_table(("Option", "Score", "Posterior"), rows)


def _weights(explanation: Said) -> str:
    stated = {vote["persona"]: vote["confidence"] for vote in explanation["votes"]}
    rows = (
        [
            item["persona"],
            item["option"] or "abstains",
            as_number(stated[item["persona"]]),
            as_number(item["weight"]),
            item["source"],
        ]
        for item in explanation["result"]["weights"]
    )
    return as_table(("Persona", "Votes for", "Confidence", "Weight", "Source"), rows)


def _requirements(rows: Sequence[Said]) -> str:
    cells = (
        [row["measure"], *(as_number(row[key]) for key in ("threshold", "value", "distance")), _yes(row["met"])]
        for row in rows
    )
    return as_table(("Threshold", "Needed", "Reached", "Distance", "Met"), cells)


def _certificate(item: Said | None) -> str:
    if item is None:
        return ""
    source = f"calibration {item['calibration']}" if item["calibration"] is not None else "no calibration"
    bound = f"errors at most {item['alpha']:g}, unless with probability {item['delta']:g}; {source}"
    if item["threshold"] is None:
        return f"Nothing is certified ({bound}): {as_text(item['reason'])}."
    score = f"a {item['measure']} of at least {as_number(item['threshold'])}"
    return f"Certified for the blind vote: {score} ({bound}): {as_text(item['reason'])}."


def _blocking(item: Said | None) -> str:
    if item is None:
        return ""
    lines = []
    if item["vetoed_by"]:
        lines.append(f"{as_text(item['option'])} is vetoed by {_names(item['vetoed_by'])}.")
    if item["needed"] is not None:
        against = f"{len(item['against'])} against it ({_names(item['against'])})" if item["against"] else "none"
        verdict = "they block it" if item["minority"] else "too few to block it"
        lines.append(
            f"Blocking minority of {as_text(item['share'])}: {item['needed']} block {as_text(item['option'])}; "
            f"{against}, {verdict}."
        )
    return " ".join(lines)


def _pivotal(turns: Sequence[Said]) -> str:
    if not turns:
        return "No single persona is pivotal."
    return f"Pivotal: {_names(turn['persona'] for turn in turns)}."


def _conflict(item: Said | None) -> list[str]:
    if item is None:
        return []
    sides = item["sides"]
    return [
        "### Conflict",
        as_table(
            ("Side", "Personas", "Weight", "Fallbacks", "Latency (ms)", "Tokens in", "Tokens out"),
            (
                [
                    side["option"],
                    ", ".join(one["persona"] for one in side["personas"]),
                    as_number(side["weight"]),
                    side["fallbacks"],
                    *_cost(side["telemetry"]),
                ]
                for side in sides
            ),
        ),
        as_table(
            ("Persona", "Side", "Right so far", "Fallback of", "Latency (ms)", "Tokens in", "Tokens out"),
            (
                [
                    one["persona"],
                    side["option"],
                    _record(one["reliability"]),
                    one["fallback_of"] or "-",
                    *_cost(one["telemetry"]),
                ]
                for side in sides
                for one in side["personas"]
            ),
        ),
        *(_memory(side) for side in sides),
        *(as_items(f"Evidence for {as_text(side['option'])}", _stated(side), level=4) for side in sides),
    ]


def _cost(cost: Said | None) -> list[str]:
    if cost is None:
        return ["-"] * 3
    return [f"{cost['latency_ms']:.1f}", str(cost["prompt_tokens"]), str(cost["completion_tokens"])]


def _record(item: Said | None) -> str:
    if item is None:
        return "no record"
    return f"{item['rate']:.3f}" + (f" ({item['record']})" if item["record"] else "")


def _memory(side: Said) -> str:
    memory = side["memory"]
    if memory is None:
        return ""
    name = as_text(side["option"])
    if memory["degraded"]:
        return f"What the side of {name} recalled is not complete: {as_text(memory['degraded'])}."
    if not memory["by_action"]:
        return f"The side of {name} recalled no resolved case."
    rows = "; ".join(f"{as_text(row['action'])} {row['right']} of {row['cases']} right" for row in memory["by_action"])
    return f"Resolved cases that the side of {name} recalled, by what was done: {rows}."


def _stated(side: Said) -> list[str]:
    return [f"{item['persona']}: {_evidence(item)}" for item in side["evidence"]]


def _evidence(item: Said) -> str:
    value = f" = {item['value']}" if item["value"] is not None else ""
    points = f", {item['points']:+.4g}" if item["points"] else ""
    note = f" ({item['note']})" if item["note"] else ""
    return f"{item['id']}{value}{points}{note}"


def _grounds(title: str, item: Said) -> str:
    lines = [f"### {title}", "", as_text(item["rationale"])]
    evidence = [f"- {as_text(_evidence(each))}" for each in item["evidence"]]
    return "\n".join([*lines, "", *evidence] if evidence else lines)


def _dissent(item: Said | None) -> str:
    if item is None:
        return ""
    return _grounds(f"Strongest dissent: {as_text(item['persona'])} for {as_text(item['option'])}", item)


def _veto(item: Said) -> str:
    return _grounds(f"Veto: {as_text(item['persona'])} against {as_text(item['option'])}", item)


def _confidences(item: Said) -> str:
    if not item["count"]:
        return "The rule does not count confidences."
    return "" if item["turns"] else "No other confidence of a single persona would have changed it."


def _rounds(rounds: Sequence[Said]) -> str:
    rows = [
        [each["round"], vote["persona"], _voted(vote), as_number(vote["confidence"]), vote["note"]]
        for each in rounds
        for vote in each["votes"]
    ]
    results = as_items("Rounds", [f"round {each['round']}: {each['kind']}, {each['reason']}" for each in rounds])
    table = as_table(("Round", "Persona", "Vote", "Confidence", "Note"), rows)
    return "\n\n".join(filter(None, [results, table]))


def _voted(vote: Said) -> str:
    return " > ".join(vote["ranking"]) or vote["option"] or "abstains"


def _names(names: Iterable[str]) -> str:
    return ", ".join(as_text(name) for name in names)


def _yes(value: bool) -> str:
    return "yes" if value else "no"
