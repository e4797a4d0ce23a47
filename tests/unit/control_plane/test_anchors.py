"""Anchors are signed by a key of the stack's own."""

import stat

from domain.anchor import FORMAT, Header
from domain.canonical import canonical_json
from orchestration.anchors import folder, is_signed, known_key, public_of, signing_key


def test_the_key_is_made_once_and_for_its_owner_alone(tmp_path):
    assert known_key(tmp_path) is None
    key = signing_key(tmp_path)
    assert public_of(signing_key(tmp_path)) == public_of(key) == known_key(tmp_path)
    assert stat.S_IMODE((folder(tmp_path) / "anchor.key").stat().st_mode) == 0o600


def test_a_signature_is_of_one_header_by_one_key(tmp_path):
    key = signing_key(tmp_path)
    none = "0" * 64
    header = Header(format=FORMAT, at="now", count=1, root=none, changed=none, previous=none, key=public_of(key))
    signature = key.sign(canonical_json(header.plain()).encode()).hex()
    assert is_signed(header, signature)
    assert not is_signed(header.model_copy(update={"count": 2}), signature)
    assert not is_signed(header.model_copy(update={"key": public_of(signing_key(tmp_path / "other"))}), signature)
    assert not is_signed(header.model_copy(update={"key": "no"}), signature)
    assert not is_signed(header, "no")
