"""Sees credentials in text that leaves, with detect-secrets: more issuers than our own rules, at many times the cost.

Its plugins are asked one by one, without its settings (they are the process's) and its verification, which would send
what was found to the issuer. Those that go by entropy are left out: they take ids and digests for secrets.
"""

import re
from collections.abc import Iterator, Mapping
from functools import cache
from importlib import import_module
from typing import Any

from domain.canonical import digest
from domain.guard import Finding, Hop, Subject
from domain.task_type import TaskType
from guardrails.text import readable
from guardrails.windows import Span, blanked, merged, windows

# Some patterns take time by the square of a line's length.
WINDOW, OVERLAP = 600, 150
KEYWORD = "keyword"
PLUGINS: Mapping[str, str] = {
    "artifactory": "ArtifactoryDetector",
    "aws": "AWSKeyDetector",
    "azure_storage_key": "AzureStorageKeyDetector",
    "basic_auth": "BasicAuthDetector",
    "cloudant": "CloudantDetector",
    "discord": "DiscordBotTokenDetector",
    "github_token": "GitHubTokenDetector",
    "gitlab_token": "GitLabTokenDetector",
    "ibm_cloud_iam": "IbmCloudIamDetector",
    "ibm_cos_hmac": "IbmCosHmacDetector",
    "jwt": "JwtTokenDetector",
    KEYWORD: "KeywordDetector",
    "mailchimp": "MailchimpDetector",
    "npm": "NpmDetector",
    "openai": "OpenAIDetector",
    "private_key": "PrivateKeyDetector",
    "pypi_token": "PypiTokenDetector",
    "sendgrid": "SendGridDetector",
    "slack": "SlackDetector",
    "softlayer": "SoftlayerDetector",
    "square_oauth": "SquareOAuthDetector",
    "stripe": "StripeDetector",
    "telegram_token": "TelegramBotTokenDetector",
    "twilio": "TwilioKeyDetector",
}
ISSUED, NAMED = 0.9, 0.6
"""An issuer's form, and a value whose name says that it is a secret."""
MAX_NAMED = 20
# In every name that the keyword plugin knows; most texts hold none, and the plugin is the dearest.
_STEM = re.compile("key|pass|pwd|secret|contrase", re.IGNORECASE)
_QUOTE = re.compile("[\"'`]")
# The plugin tries every end of a name for every stem in it: no name is as long as this, and no value either.
_LONG_NAME = re.compile(r"(?<![\w\"'`])\w+(?=\w{64})|\w{257,}")
_LAST_LINE = re.compile(r"END [A-Z0-9 ]{0,40}PRIVATE KEY[A-Z ]{0,10}|Private-MAC: ?[0-9a-f]{0,64}")
_REST = re.compile(r"[A-Za-z0-9_\-]*")


def build(task_type: TaskType) -> "LeavingSecrets":
    """The filter; a credential is one for every task type alike."""
    return LeavingSecrets()


class LeavingSecrets:
    """A credential in what is sent to an executor, or in a payload, which goes on to the personas' models."""

    id: str = "leaving_secrets"
    version: str = f"1+{digest(PLUGINS)[:8]}"
    hops: frozenset[Hop] = frozenset({Hop.INPUT, Hop.ARGUMENTS})

    def prepare(self) -> None:
        """Load detect-secrets."""
        _plugins()

    def check(self, subject: Subject) -> Finding | None:
        """A finding scored by the surest plugin. The secret itself is only hashed."""
        text = readable(subject.text)
        found = [(name, _whole(text, name, *place)) for name, place in (*_issued(text), *_named(text))]
        if not found:
            return None
        names = sorted({name for name, _ in found})
        places = merged(place for _, place in found)
        return Finding(
            guard_id=self.id,
            version=self.version,
            category="secret",
            score=ISSUED if names != [KEYWORD] else NAMED,
            reason=f"looks like {', '.join(names)}",
            spans=tuple(places),
            evidence_hash=digest([text[start:end] for start, end in places]),
        )


def _issued(text: str) -> Iterator[tuple[str, Span]]:
    """What has an issuer's form."""
    for start, piece in windows(text, WINDOW, OVERLAP):
        for name, plugin in _plugins().items():
            if name != KEYWORD and any(plugin.analyze_string(piece)):
                # The plugins tell parts of a match, and no place.
                for match in (match for form in plugin.denylist for match in form.finditer(piece)):
                    yield name, (start + match.start(), start + match.end())


def _named(text: str) -> Iterator[tuple[str, Span]]:
    """Values whose names say that they are secrets, line by line, where the name's stem is there at all."""
    at = 0
    for line in text.splitlines(keepends=True) if _STEM.search(text) else ():
        for start, piece in windows(_LONG_NAME.sub(_blank, line), WINDOW, OVERLAP) if _STEM.search(line) else ():
            if _QUOTE.search(piece):
                yield from ((KEYWORD, (at + start + a, at + start + b)) for a, b in _values(piece))
        at += len(line)


def _values(piece: str) -> list[Span]:
    """The plugin tells the first value of each form, so it is asked again without what it told."""
    places: list[Span] = []
    forms = _forms()
    for _ in range(MAX_NAMED):
        told = {value for value in _plugins()[KEYWORD].analyze_string(piece, forms) if value and value in piece}
        if not told:
            break
        seen = [(match.start(), match.end()) for value in told for match in re.finditer(re.escape(value), piece)]
        places += [(start, end) for start, end in seen if _likely(piece[start:end])]
        piece = blanked(piece, seen)
    return places


def _likely(value: str) -> bool:
    """Not a placeholder such as `<password>`, `${PASSWORD}` or `***`, nor a row such as 123456."""
    heuristic = import_module("detect_secrets.filters.heuristic")
    return not (
        heuristic.is_templated_secret(value)
        or heuristic.is_prefixed_with_dollar_sign(value)
        or heuristic.is_not_alphanumeric_string(value)
    )


def _whole(text: str, name: str, start: int, end: int) -> Span:
    """To the end of the token, which a piece may have cut, and of a key that its plugin knows by its first line."""
    if name == "private_key":
        last = _LAST_LINE.search(text, end)
        return start, last.end() if last else len(text)
    rest = _REST.match(text, end)
    return start, rest.end() if rest and text[end - 1].isalnum() else end


def _blank(match: re.Match[str]) -> str:
    return "\0" * len(match.group())


@cache
def _forms() -> Mapping[Any, int]:
    """The keyword plugin's forms but for `name "value";`, the dearest, which belongs to a server's files."""
    keyword = import_module("detect_secrets.plugins.keyword")
    known = keyword.QUOTES_REQUIRED_DENYLIST_REGEX_TO_GROUP
    return {form: at for form, at in known.items() if form is not keyword.FOLLOWED_BY_QUOTES_AND_SEMICOLON_REGEX}


@cache
def _plugins() -> Mapping[str, Any]:
    # Imported here: it takes a quarter of a second, which commands that let nothing leave need not pay.
    return {name: getattr(import_module(f"detect_secrets.plugins.{name}"), kind)() for name, kind in PLUGINS.items()}
