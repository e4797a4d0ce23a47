"""Sees credentials by their form, with YARA rules of our own."""

import re
from functools import cache
from typing import Any

import yara

from domain.canonical import digest
from domain.guard import Finding, Hop, Subject
from domain.task_type import TaskType
from guardrails.text import readable

# `score` is how sure the form alone makes us; policy holds the threshold. An issuer's prefix is as good as certain.
RULES = r"""
rule anthropic_key { meta: score = 100 strings: $a = /sk-ant-[A-Za-z0-9_-]{16,200}/ condition: $a }
rule openai_key {
  meta: score = 100
  strings:
    $named = /sk-(proj|svcacct|admin)-[A-Za-z0-9_-]{16,200}/
    $plain = /(^|[^A-Za-z0-9]|\\[nrt])sk-[A-Za-z0-9]{20,200}/
  condition: any of them
}
rule stripe_key { meta: score = 100 strings: $a = /[rs]k_(live|test)_[A-Za-z0-9]{16,200}/ condition: $a }
rule aws_access_key { meta: score = 100 strings: $a = /(AKIA|ASIA)[A-Z0-9]{16}/ condition: $a }
rule github_token {
  meta: score = 100
  strings:
    $short = /gh[oprsu]_[A-Za-z0-9]{20,255}/
    $fine = /github_pat_[A-Za-z0-9_]{22,255}/
  condition: any of them
}
rule slack_token { meta: score = 100 strings: $a = /xox[abeoprs]-[A-Za-z0-9-]{10,200}/ condition: $a }
rule google_key { meta: score = 100 strings: $a = /AIza[A-Za-z0-9_-]{35}/ condition: $a }
rule private_key {
  meta: score = 100
  strings: $a = /-----BEGIN ([A-Z0-9]{1,12} ){0,3}PRIVATE KEY( BLOCK)?-----/
  condition: $a
}
rule web_token { meta: score = 90 strings: $a = /eyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}/ condition: $a }
rule url_with_password { meta: score = 90 strings: $a = /:\/\/[A-Za-z0-9._%+-]{1,64}:[^\s:@\/"'<>{}$*]{3,128}@[A-Za-z0-9]/ condition: $a }
rule assigned_secret {
  meta: score = 80
  strings:
    $a = /(password|passwd|passphrase|pwd|api[_ -]?key|secret[_ -]?key|client[_ -]?secret|access[_ -]?token|auth[_ -]?token)\\?["']?\s{0,3}=\s{0,3}\\?["']?[^\s"',;<>{}$*\\]{4,200}/ nocase
    $b = /(password|passwd|passphrase|pwd|api[_-]?key|secret[_-]?key|client[_-]?secret|access[_-]?token|auth[_-]?token)\\?["']\s{0,3}:\s{0,3}\\?["'][^\s"',;<>{}$*\\]{4,200}/ nocase
  condition: any of them
}
rule stated_secret {
  meta: score = 60
  strings: $a = /(password|passphrase|api key|access token)( is|:) {0,3}[^\s"',;<>{}$*\\]{3,64}[0-9]/ nocase
  condition: $a
}
"""  # noqa: E501
TIMEOUT_SECONDS = 2
MAX_SPANS = 20
_KEY_END = re.compile(r"-----END [A-Z0-9 ]{1,40}-----")


@cache
def _rules() -> Any:
    return yara.compile(source=RULES, error_on_warning=True)


def build(task_type: TaskType) -> "Secrets":
    """The filter; a credential is one for every task type alike."""
    return Secrets()


class Secrets:
    """A key, token, private key or password in the text."""

    id: str = "secrets"
    version: str = f"1+{digest(RULES)[:8]}"
    hops: frozenset[Hop] = frozenset(Hop)

    def __init__(self) -> None:
        self._rules = _rules()

    def check(self, subject: Subject) -> Finding | None:
        """A finding scored by the surest rule that matched. The secret itself is only hashed."""
        text = readable(subject.text)
        data = text.encode("utf-8")
        matches = self._rules.match(data=data, timeout=TIMEOUT_SECONDS)
        if not matches:
            return None
        places = sorted(
            {
                (i.offset, i.offset + i.matched_length, m.rule == "private_key")
                for m in matches
                for s in m.strings
                for i in s.instances
            }
        )
        return Finding(
            guard_id=self.id,
            version=self.version,
            category="secret",
            score=max(match.meta["score"] for match in matches) / 100,
            reason=f"looks like {', '.join(sorted(match.rule for match in matches))}",
            spans=tuple(_span(text, data, *place) for place in places[:MAX_SPANS]),
            evidence_hash=digest([data[start:end].decode("utf-8", "replace") for start, end, _ in places]),
        )


def _span(text: str, data: bytes, start: int, end: int, is_key: bool) -> tuple[int, int]:
    """In characters. A private key's rule sees its first line; what has to go is the key behind it."""
    first, last = _chars(data, start), _chars(data, end)
    if not is_key:
        return first, last
    closing = _KEY_END.search(text, last)
    return first, closing.end() if closing else len(text)


def _chars(data: bytes, offset: int) -> int:
    """Characters before a byte offset: YARA counts bytes, spans count characters."""
    return len(data[:offset].decode("utf-8", "ignore"))
