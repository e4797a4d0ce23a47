"""Reads a task type's Cedar files once, and refuses what would fail open or could not be explained."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cedarpy

from domain.canonical import digest
from domain.errors import CatalogError
from domain.guard import SEVERITY, Effect
from guardrails.schema import SCHEMA, schema

REQUIRED_OF_FORBID = ("id", "effect", "reason", "owner")
DENIAL_EFFECTS = tuple(effect.value for effect in SEVERITY if effect is not Effect.ALLOW)


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


@dataclass(frozen=True, slots=True)
class Policies:
    """All statements of a task type, parsed."""

    by_id: Mapping[str, Policy]
    parsed: cedarpy.PolicySet
    hash: str
    """Over every policy text and the schema."""


def load_policies(files: Sequence[Path]) -> Policies:
    """Parse and check the files. Raises CatalogError naming the file and the policy."""
    texts = [_read(file) for file in files]
    by_id: dict[str, Policy] = {}
    for file, text in zip(files, texts, strict=True):
        for policy in _described(file, text, start=len(by_id)):
            if policy.id in by_id:
                raise CatalogError(str(file), f"policy {policy.id}", "an @id that no other policy has")
            by_id[policy.id] = policy
    return Policies(
        by_id=by_id,
        parsed=cedarpy.PolicySet.from_str("\n".join(texts)),
        hash=digest({"policies": texts, "schema": SCHEMA}),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise CatalogError(str(file), "", f"a readable Cedar file ({type(problem).__name__})") from problem


def _described(file: Path, text: str, start: int) -> list[Policy]:
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
    policies = [_policy(file, start, i, statement) for i, (_, statement) in enumerate(statements)]
    names = {cedar_name: policy.id for (cedar_name, _), policy in zip(statements, policies, strict=True)}
    for error in cedarpy.validate_policies(text, schema()).errors:
        where = names.get(error.policy_id, error.policy_id)
        raise CatalogError(str(file), f"policy {where}", f"a statement that fits the schema ({error.error})")
    return policies


def _policy(file: Path, start: int, index: int, statement: Mapping[str, Any]) -> Policy:
    annotations: dict[str, str | None] = statement.get("annotations", {})
    where = f"policy {annotations.get('id') or f'number {index + 1}'}"
    permit = statement["effect"] == "permit"
    for name in ("id",) if permit else REQUIRED_OF_FORBID:
        if not (annotations.get(name) or "").strip():
            raise CatalogError(str(file), where, f"an annotation @{name}")
    effect = annotations.get("effect") or ""
    if permit and "effect" in annotations:
        raise CatalogError(str(file), where, "no @effect on a permit: what it matches is allowed")
    if not permit and effect not in DENIAL_EFFECTS:
        raise CatalogError(str(file), where, f"@effect, one of {', '.join(DENIAL_EFFECTS)}; got {effect!r}")
    return Policy(
        id=annotations["id"] or "",
        effect=Effect.ALLOW if permit else Effect(effect),
        reason=annotations.get("reason") or "",
        owner=annotations.get("owner") or "",
        position=start + index,
    )
