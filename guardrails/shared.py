"""Policies of a whole catalog: what one of its task types has not, another may have; what none has is mistyped."""

from collections.abc import Sequence
from pathlib import Path

from domain.errors import CatalogError
from guardrails.policies import Policies
from guardrails.words import Stray


def check_shared(file: Path, types: Sequence[Policies]) -> None:
    """Hold the catalog's file against all its task types together. Raises CatalogError."""
    for policy in [one for one in types[0].by_id.values() if one.file == str(file)]:
        own = [policies.by_id[policy.id] for policies in types]
        fields = set(policy.unknown_fields).intersection(*(one.unknown_fields for one in own))
        if fields:
            expected = f"fields that some task type has; none has {', '.join(sorted(fields))}"
            raise CatalogError(str(file), f"policy {policy.id}", expected)
        _check_words(file, policy.id, [one.stray_words for one in own])


def _check_words(file: Path, policy_id: str, strays: Sequence[tuple[Stray, ...]]) -> None:
    everywhere = set.intersection(*({(stray.field, stray.word) for stray in one} for one in strays))
    for field, word in sorted(everywhere):
        known = {
            name
            for one in strays
            for stray in one
            if (stray.field, stray.word) == (field, word)
            for name in stray.known
        }
        raise CatalogError(str(file), f"policy {policy_id}", str(Stray(field, word, tuple(sorted(known)))))
