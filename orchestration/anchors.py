"""Anchors: signed roots over all audit chains' heads, kept in a file outside the database.

A line of the file holds a header, its signature, and the heads that changed since the line before. The signed header
has the root over all heads, their count, and the hashes of the changed ones and of the header before.
"""

import fcntl
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import ValidationError
from sqlalchemy.ext.asyncio import AsyncEngine

from domain.anchor import FORMAT, AnchorLine, Header, as_head
from domain.audit_found import Problem
from domain.canonical import canonical_json
from domain.errors import InputError
from domain.merkle import Head, proof, root
from domain.strict_json import JsonRefused, parse
from storage.repositories.chains import all_heads, links_at

NONE = "0" * 64


@dataclass
class Anchors:
    """What a file of anchors says."""

    path: Path
    header: Header | None = None
    """Of the newest anchor; None where there is none."""
    signature: str = ""
    heads: dict[str, Head] = field(default_factory=dict)
    """As the newest anchor has them."""
    problems: list[Problem] = field(default_factory=list)
    line_hash: str = NONE
    lines: int = 0
    size: int = 0
    """Bytes of the file that were read: whole lines alone."""
    unended: bool = False
    """Whether the newest anchor's line has lost its end; it counts all the same."""
    torn: int = 0
    """Bytes behind the last line that are no anchor."""

    @property
    def note(self) -> str | None:
        """What is to be said of the file's end."""
        if self.unended:
            return f"{self.path}, line {self.lines}: the newest anchor has lost the end of its line, and is counted"
        if self.torn:
            told = f"{self.torn} bytes behind line {self.lines} are no whole anchor, and are not counted"
            return f"{self.path}: {told}: whoever wrote them died over it, or somebody cut the newest anchor"
        return None

    def sorted_heads(self) -> list[Head]:
        """In the order of the tree's leaves."""
        return sorted(self.heads.values())


def folder(home: Path) -> Path:
    """Where the key and, where no other place is named, the anchors lie."""
    return home / "audit"


def signing_key(home: Path) -> Ed25519PrivateKey:
    """The key of this stack, made at its first use, for its owner's eyes alone."""
    path = folder(home) / "anchor.key"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not path.exists():
        made = Ed25519PrivateKey.generate().private_bytes_raw()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(made.hex() + "\n")
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(path.read_text().strip()))


def known_key(home: Path) -> str | None:
    """The public half of this stack's key, if it has one."""
    return public_of(signing_key(home)) if (folder(home) / "anchor.key").exists() else None


def public_of(key: Ed25519PrivateKey) -> str:
    """The public half, as 64 hex digits."""
    return key.public_key().public_bytes_raw().hex()


def is_signed(header: Header, signature: str) -> bool:
    """Whether the header is signed by the key that it names."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(header.key))
        key.verify(bytes.fromhex(signature), canonical_json(header.plain()).encode())
    except (InvalidSignature, ValueError):
        return False
    return True


def read_anchors(path: Path, key: str | None, known: Anchors | None = None) -> Anchors:
    """Every anchor of the file, each checked: its signature (by `key`, where one is known) and the line before.

    With `known`, what was read earlier, only the lines behind it are read.
    """
    if not path.exists():
        return Anchors(path)
    goes_on = known is not None and not known.problems and path.stat().st_size >= known.size
    anchors = known if known is not None and goes_on and not known.unended else Anchors(path)
    anchors.torn = 0
    with path.open("rb") as file:
        file.seek(anchors.size)
        for line in file:
            whole = line.endswith(b"\n")
            problem = _take(anchors, line, key)
            if problem is not None and not whole:
                anchors.torn = len(line)
                break  # Whoever wrote it died over it, and the next anchor takes its place.
            anchors.lines += 1
            if problem is not None:
                anchors.problems.append(Problem("", None, "anchor", f"{path}, line {anchors.lines}: {problem}"))
                return anchors
            anchors.size += len(line)
            anchors.unended = not whole
    if anchors.header is not None and root(anchors.sorted_heads()).hex() != anchors.header.root:
        anchors.problems.append(Problem("", None, "anchor", f"{path}: the newest root is not that of its heads"))
    return anchors


def _take(anchors: Anchors, line: bytes, key: str | None) -> str | None:
    """Take one line in; why it cannot be, if so."""
    try:
        found = AnchorLine.model_validate(parse(line, limit=len(line)))
    except JsonRefused as problem:
        return f"it is not an anchor: {problem}"
    except ValidationError as problem:
        first = problem.errors(include_url=False, include_input=False)[0]
        return f"it is not an anchor: {'.'.join(str(one)[:40] for one in first['loc'])}: {first['msg']}"
    header = found.header
    if not is_signed(header, found.signature):
        return "its signature does not hold"
    if key is not None and header.key != key:
        return "it is signed by another key than this stack's"
    if header.previous != anchors.line_hash:
        return "it does not follow the line before it"
    if header.changed != _sha(canonical_json(found.changed)):
        return "its heads are not those that were signed"
    changed = {one[0]: as_head(one) for one in found.changed}
    count = len(anchors.heads.keys() | changed.keys())
    if header.count != count:
        return f"it counts {header.count} tasks, its heads are {count}"
    anchors.heads.update(changed)
    anchors.header, anchors.signature = header, found.signature
    anchors.line_hash = _sha(canonical_json(header.plain()))
    return None


def _sha(told: str) -> str:
    return hashlib.sha256(told.encode()).hexdigest()


@dataclass(frozen=True)
class Anchored:
    """What anchoring came to."""

    path: Path
    header: Header | None
    """None where something is wrong: nothing was written then."""
    changed: int
    problems: list[Problem]


async def anchor(engine: AsyncEngine, home: Path, out: Path | None, known: Anchors | None = None) -> Anchored:
    """Append an anchor over all heads. Refused where the database no longer has what the newest anchor holds.

    `known` is what was read of the file earlier; it is brought up to date.
    """
    path = out or folder(home) / "anchors.jsonl"
    key = signing_key(home)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = path.open("a", encoding="utf-8")
    except OSError as problem:
        raise InputError(f"--out {path}: {problem.strerror}") from None
    with file:
        # Of two that anchor at once the second waits for the first one's line.
        fcntl.flock(file, fcntl.LOCK_EX)
        anchors = read_anchors(path, public_of(key), known)
        problems = [*anchors.problems]
        async with engine.connect() as connection:
            heads = await all_heads(connection)
            changed = [head for head in heads if anchors.heads.get(head.task_id) != head]
            grown = [anchors.heads[head.task_id] for head in changed if head.task_id in anchors.heads]
            links = await links_at(connection, grown)
        problems.extend(_lost(anchors, heads, grown, links))
        if problems:
            return Anchored(path, None, 0, problems)
        file.truncate(anchors.size)
        if anchors.unended:
            file.write("\n")
        header = _append(file, key, anchors, heads, changed)
    return Anchored(path, header, len(changed), [])


def _lost(
    anchors: Anchors, heads: list[Head], grown: list[Head], links: Mapping[tuple[str, int], bytes]
) -> list[Problem]:
    gone = anchors.heads.keys() - {head.task_id for head in heads}
    problems = [Problem(task, anchors.heads[task].seq, "cut", "an anchor holds its chain; it is gone") for task in gone]
    for head in grown:
        if links.get((head.task_id, head.seq)) != head.hash:
            told = f"entry {head.seq} is not the one that an anchor holds"
            problems.append(Problem(head.task_id, head.seq, "cut", told))
    return sorted(problems)


def _append(file: Any, key: Ed25519PrivateKey, anchors: Anchors, heads: list[Head], changed: list[Head]) -> Header:
    told = [[head.task_id, head.seq, head.hash.hex()] for head in changed]
    header = Header(
        format=FORMAT,
        at=datetime.now(UTC).isoformat(),
        count=len(heads),
        root=root(heads).hex(),
        changed=_sha(canonical_json(told)),
        previous=anchors.line_hash,
        key=public_of(key),
    )
    plain = header.plain()
    signature = key.sign(canonical_json(plain).encode()).hex()
    file.write(canonical_json({"header": plain, "signature": signature, "changed": told}) + "\n")
    file.flush()
    os.fsync(file.fileno())
    return header


def inclusion(anchors: Anchors, task_id: str) -> dict[str, Any] | None:
    """That the task's head is in the newest anchor; None where it is not."""
    head = anchors.heads.get(task_id)
    if head is None or anchors.header is None:
        return None
    heads = anchors.sorted_heads()
    steps = proof(heads, heads.index(head))
    return {
        "header": anchors.header.plain(),
        "signature": anchors.signature,
        "head": [head.task_id, head.seq, head.hash.hex()],
        "proof": [[side, neighbour.hex()] for side, neighbour in steps],
    }
