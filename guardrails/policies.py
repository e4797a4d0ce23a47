"""Reads Cedar files once, and refuses what would fail open or could not be explained."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cedarpy

from domain.canonical import digest
from domain.errors import CatalogError
from domain.guard import OBLIGATIONS, SEVERITY, Effect
from guardrails.asked import fields_read, unknown_fields
from guardrails.schema import TypeSchema
from guardrails.words import FIXED, Stray, stray_words

REQUIRED_OF_FORBID = ("id", "effect", "reason", "owner")
DENIAL_EFFECTS = tuple(effect.value for effect in SEVERITY if effect is not Effect.ALLOW)
GOES_WITH = {"override": "deny", "downgrade_to": "downgrade", "redact": "redact"}
"""Annotation of a forbid -> the @effect that it belongs to."""
ANNOTATIONS = frozenset({*REQUIRED_OF_FORBID, *GOES_WITH, "obligation"})


@dataclass(frozen=True, slots=True)
class Policy:
    """One Cedar statement as its annotations describe it."""

    id: str
    effect: Effect
    """`allow` for a permit."""
    reason: str
    owner: str
    position: int
    """Place in reading order, over all files."""
    file: str = ""
    override: str | None = None
    """Role whose holder may let pass what this denies."""
    downgrade_to: str | None = None
    """Action that is taken instead; without one, the strategy's safe action."""
    redact: tuple[str, ...] = ()
    """Filters whose findings are taken out; none named: of every filter that tells where."""
    obligation: str | None = None
    """What follows where this permits. Such a permit alone allows nothing."""
    unknown_fields: tuple[str, ...] = ()
    """What it asks for with `has` and the task type has not; one that holds for several types may do so."""
    stray_words: tuple[Stray, ...] = ()
    """What it compares a fact with that the fact cannot be for the task type; one that holds for several may do so."""


@dataclass(frozen=True, slots=True)
class Policies:
    """All statements that hold for a task type, parsed."""

    by_id: Mapping[str, Policy]
    parsed: cedarpy.PolicySet
    obliging: cedarpy.PolicySet
    """The permits with an @obligation alone. Where a forbid matches, Cedar does not say which permits do."""
    schema: TypeSchema
    reads: Mapping[str, frozenset[str] | None]
    """Of the payload and of the arguments the fields that any of them reads; None: all."""
    hash: str
    """Over every policy text and the schema."""


def load_policies(files: Sequence[Path], schema: TypeSchema) -> Policies:
    """Parse and check the files. Raises CatalogError naming the file and the policy."""
    texts = [_read(file) for file in files]
    by_id: dict[str, Policy] = {}
    for file, text in zip(files, texts, strict=True):
        for policy in _described(file, text, len(by_id), schema):
            if policy.id in by_id:
                raise CatalogError(str(file), f"policy {policy.id}", "an @id that no other policy has")
            by_id[policy.id] = policy
    whole = "\n".join(texts)
    parsed = cedarpy.PolicySet.from_str(whole)
    return Policies(
        by_id=by_id,
        parsed=parsed,
        obliging=_obliging(parsed),
        schema=schema,
        reads=fields_read(json.loads(cedarpy.policies_to_json_str(whole))["staticPolicies"].values()),
        hash=digest({"policies": texts, "schema": schema.text}),
    )


def _obliging(parsed: cedarpy.PolicySet) -> cedarpy.PolicySet:
    whole = parsed.to_pst()
    kept = {name: one for name, one in whole.static_policies.items() if "obligation" in one.annotations}
    return cedarpy.PolicySet.from_pst(replace(whole, static_policies=kept))


def without(policies: Policies, ids: Collection[str]) -> Policies:
    """All but those of these ids; what the rest rules is unchanged, and so is the hash."""
    whole = policies.parsed.to_pst()
    left = {name: one for name, one in whole.static_policies.items() if one.annotations.get("id") not in ids}
    return replace(policies, parsed=cedarpy.PolicySet.from_pst(replace(whole, static_policies=left)))


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise CatalogError(str(file), "", f"a readable Cedar file ({type(problem).__name__})") from problem


def _described(file: Path, text: str, start: int, schema: TypeSchema) -> list[Policy]:
    try:
        document = json.loads(cedarpy.policies_to_json_str(text))
    except ValueError as problem:
        raise CatalogError(str(file), "", f"valid Cedar ({problem})") from problem
    if document["templates"]:
        raise CatalogError(
            str(file), f"policy {next(iter(document['templates']))}", "a statement without template slots"
        )
    # Cedar names statements policy0, policy1, ... as they stand in the text.
    statements = sorted(document["staticPolicies"].items(), key=lambda item: int(item[0].removeprefix("policy")))
    policies = [
        replace(
            _policy(file, start, i, statement),
            unknown_fields=unknown_fields(statement, schema),
            stray_words=stray_words(statement, {**FIXED, **schema.words}),
        )
        for i, (_, statement) in enumerate(statements)
    ]
    names = {cedar_name: policy.id for (cedar_name, _), policy in zip(statements, policies, strict=True)}
    for error in cedarpy.validate_policies(text, schema.parsed).errors:
        where = names.get(error.policy_id, error.policy_id)
        raise CatalogError(str(file), f"policy {where}", f"a statement that fits the schema ({error.error})")
    for policy, (_, statement) in zip(policies, statements, strict=True):
        for stray in stray_words(statement, FIXED):
            raise CatalogError(str(file), f"policy {policy.id}", str(stray))
    return policies


def _policy(file: Path, start: int, index: int, statement: Mapping[str, Any]) -> Policy:
    annotations: dict[str, str | None] = statement.get("annotations", {})
    where = f"policy {annotations.get('id') or f'number {index + 1}'}"
    permit = statement["effect"] == "permit"
    problem = _permit_problem(annotations) if permit else _forbid_problem(annotations)
    if problem is not None:
        raise CatalogError(str(file), where, problem)
    return Policy(
        id=annotations["id"] or "",
        effect=Effect.ALLOW if permit else Effect(annotations["effect"] or ""),
        reason=annotations.get("reason") or "",
        owner=annotations.get("owner") or "",
        position=start + index,
        file=str(file),
        override=annotations.get("override"),
        downgrade_to=annotations.get("downgrade_to"),
        redact=tuple(name.strip() for name in (annotations.get("redact") or "").split(",") if name.strip()),
        obligation=annotations.get("obligation"),
    )


def _permit_problem(annotations: Mapping[str, str | None]) -> str | None:
    if not (annotations.get("id") or "").strip():
        return "an annotation @id"
    if "effect" in annotations:
        return "no @effect on a permit: what it matches is allowed"
    obligation = annotations.get("obligation")
    if "obligation" in annotations and obligation not in OBLIGATIONS:
        return f"@obligation, one of {', '.join(sorted(OBLIGATIONS))}; got {obligation!r}"
    return _stray(annotations, {"id", "reason", "owner", "obligation"})


def _forbid_problem(annotations: Mapping[str, str | None]) -> str | None:
    for name in REQUIRED_OF_FORBID:
        if not (annotations.get(name) or "").strip():
            return f"an annotation @{name}"
    effect = annotations["effect"]
    if effect not in DENIAL_EFFECTS:
        return f"@effect, one of {', '.join(DENIAL_EFFECTS)}; got {effect!r}"
    for name, belongs in GOES_WITH.items():
        if name in annotations and effect != belongs:
            return f'@{name} on a policy with @effect("{belongs}") alone'
        if name in annotations and not (annotations[name] or "").strip():
            return f"a value for @{name}"
    return _stray(annotations, ANNOTATIONS - {"obligation"})


def _stray(annotations: Mapping[str, str | None], known: set[str] | frozenset[str]) -> str | None:
    # A mistyped annotation would simply have no effect.
    stray = sorted(annotations.keys() - known)
    return (
        f"no annotation @{stray[0]}; known here: {', '.join(f'@{name}' for name in sorted(known))}" if stray else None
    )
