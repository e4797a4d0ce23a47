"""What can be voted for: declared actions, widened by counter-proposals."""

from collections.abc import Sequence
from dataclasses import dataclass

from domain.canonical import canonical_json
from domain.proposal import Option, Proposal
from domain.task_type import SubtaskSpec
from negotiation.votes import SHOWN, well_formed


@dataclass(frozen=True, slots=True)
class Widening:
    """The options after a round's counter-proposals."""

    options: tuple[Option, ...]
    refused: tuple[str, ...]
    """Counter-proposals that did not join, each with its reason, ordered."""


def declared_options(spec: SubtaskSpec) -> tuple[Option, ...]:
    """One option per declared action, without arguments."""
    return tuple(Option(name=action.name, action=action.name) for action in spec.actions)


def widen(spec: SubtaskSpec, options: Sequence[Option], proposals: Sequence[Proposal]) -> tuple[Option, ...]:
    """The options with those counter-proposals that the task type allows; `widening` also says what was refused."""
    return widening(spec, options, proposals).options


def widening(spec: SubtaskSpec, options: Sequence[Option], proposals: Sequence[Proposal]) -> Widening:
    """Add counter-proposals, ordered by name. Nobody's place on the panel decides which of two joins."""
    allowed = {action.name: frozenset(action.counter_arguments) for action in spec.actions}
    known = {option.name: _content(option) for option in options}
    fresh: dict[str, list[tuple[str, Option]]] = {}
    refused: list[str] = []
    for proposal in well_formed(proposals):
        counter = proposal.counter
        if counter is None:
            continue
        content = _content(counter)
        if content is not None and content == known.get(counter.name):
            continue
        problem = _problem(allowed, counter, content, known)
        if problem is not None:
            refused.append(f"{proposal.persona}: {problem}")
        else:
            fresh.setdefault(counter.name, []).append((proposal.persona, counter))
    joined = list(options)
    for name in sorted(fresh):
        offers = fresh[name]
        problem = _clash(offers, known)
        if problem is not None:
            refused.extend(f"{persona}: {problem}" for persona, _ in offers)
            continue
        known[name] = _content(offers[0][1])
        joined.append(offers[0][1])
    return Widening(tuple(joined), tuple(sorted(refused)))


def _content(option: Option) -> str | None:
    try:
        return canonical_json([option.action, option.arguments])
    except (TypeError, ValueError):
        return None


def _problem(
    allowed: dict[str, frozenset[str]], counter: Option, content: str | None, known: dict[str, str | None]
) -> str | None:
    if counter.action not in allowed:
        return f"counter-proposal of undeclared action '{counter.action[:SHOWN]}'"
    if not counter.arguments or not counter.name.strip():
        return "counter-proposal without a name or arguments"
    undeclared = sorted(set(counter.arguments) - allowed[counter.action])
    if undeclared:
        return f"counter-proposal of {counter.action} sets undeclared argument '{undeclared[0][:SHOWN]}'"
    if content is None:
        return f"counter-proposal of {counter.action} has arguments that are not plain JSON"
    if counter.name in known:
        return f"counter-proposal takes the name of another option, '{counter.name[:SHOWN]}'"
    return None


def _clash(offers: list[tuple[str, Option]], known: dict[str, str | None]) -> str | None:
    contents = {_content(option) for _, option in offers}
    name = offers[0][1].name[:SHOWN]
    if len(contents) > 1:
        return f"two counter-proposals share the name '{name}'"
    for other, content in known.items():
        if content in contents:
            return f"counter-proposal '{name}' is the same as '{other[:SHOWN]}'"
    return None
