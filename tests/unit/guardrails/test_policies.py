import pytest

from domain.errors import CatalogError
from domain.guard import Effect
from guardrails.policies import load_policies
from guardrails.schema import TypeSchema, schema_of

GOOD = (
    '@id("F-1") @effect("deny") @reason("why") @owner("who") forbid (principal, action == Action::"input", resource);\n'
)
PERMIT = '@id("P-1") permit (principal, action, resource);\n'


@pytest.fixture(autouse=True)
def schema(make_task_type) -> TypeSchema:
    global SCHEMA
    SCHEMA = schema_of(make_task_type())
    return SCHEMA


def _load(tmp_path, *texts):
    files = [tmp_path / f"{i}.cedar" for i in range(len(texts))]
    for file, text in zip(files, texts, strict=True):
        file.write_text(text, encoding="utf-8")
    return load_policies(files, SCHEMA)


def test_annotations_are_read(tmp_path):
    policies = _load(tmp_path, PERMIT, GOOD)
    forbid = policies.by_id["F-1"]
    assert (forbid.effect, forbid.reason, forbid.owner, forbid.position) == (Effect.DENY, "why", "who", 1)
    assert policies.by_id["P-1"].effect is Effect.ALLOW


@pytest.mark.parametrize("name", ["id", "effect", "reason", "owner"])
def test_a_forbid_without_an_annotation_is_refused(tmp_path, name):
    values = {"id": "F-1", "effect": "deny", "reason": "why", "owner": "who"}
    text = GOOD.replace(f'@{name}("{values[name]}") ', "")
    with pytest.raises(CatalogError) as caught:
        _load(tmp_path, PERMIT, text)
    assert caught.value.file.endswith("1.cedar")
    assert caught.value.path == ("policy number 1" if name == "id" else "policy F-1")
    assert f"@{name}" in caught.value.expected


def test_an_empty_annotation_counts_as_missing(tmp_path):
    with pytest.raises(CatalogError, match="policy F-1: an annotation @owner"):
        _load(tmp_path, GOOD.replace('"who"', '" "'))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("forbid (", "valid Cedar"),
        (GOOD.replace('"deny"', '"maybe"'), "@effect, one of halt, deny"),
        (GOOD.replace('"deny"', '"allow"'), "@effect, one of halt, deny"),
        (PERMIT.replace(" permit", ' @effect("deny") permit'), "no @effect on a permit"),
        (PERMIT.replace('@id("P-1") ', ""), "an annotation @id"),
        (GOOD + GOOD, "an @id that no other policy has"),
        (GOOD.replace("resource);", "resource) when { context.stakes > 1 };"), "policy F-1: a statement that fits"),
        (
            GOOD.replace("resource);", 'resource) when { context.stake_cents == "1" };'),
            "policy F-1: a statement that fits",
        ),
        (GOOD.replace('"input"', '"inptu"'), "policy F-1: a statement that fits"),
        (GOOD.replace("@effect", '@overide("x") @effect'), "no annotation @overide; known here: "),
        (
            GOOD.replace('@effect("deny")', '@effect("redact") @override("operator")'),
            "@override on a policy with @effect",
        ),
        (GOOD.replace("@effect", '@redact("pii") @effect'), "@redact on a policy with @effect"),
        (GOOD.replace("@effect", '@override("") @effect'), "a value for @override"),
        (PERMIT.replace(" permit", ' @obligation("praise") permit'), "@obligation, one of taint"),
        ('@id("T") permit (principal == Persona::"nobody", action, resource);', "policy T: a statement that fits"),
        ('@id("T") permit (principal, action, resource == Task::"creditreview");', "policy T: a statement that fits"),
        ('@id("T") permit (principal == ?principal, action, resource);', "without template slots"),
    ],
)
def test_a_policy_that_would_fail_open_is_refused(tmp_path, text, says):
    with pytest.raises(CatalogError, match=says) as caught:
        _load(tmp_path, text)
    assert "0.cedar" in str(caught.value)


def test_ids_are_unique_over_all_files(tmp_path):
    with pytest.raises(CatalogError, match=r"1\.cedar: at policy P-1"):
        _load(tmp_path, PERMIT, PERMIT)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(CatalogError, match=r"gone\.cedar"):
        load_policies([tmp_path / "gone.cedar"], SCHEMA)


def test_the_hash_follows_every_text(tmp_path):
    first = _load(tmp_path, PERMIT, GOOD).hash
    assert _load(tmp_path, PERMIT, GOOD).hash == first
    assert _load(tmp_path, PERMIT, GOOD + "// a comment\n").hash != first
    assert _load(tmp_path, GOOD, PERMIT).hash != first
