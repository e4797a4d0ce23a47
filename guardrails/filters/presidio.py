"""Sees personal data with presidio's pattern recognisers (extra `presidio`), without a language model of its own."""

from collections import Counter
from collections.abc import Sequence
from typing import Any

from domain.guard import Finding, Hop, Subject
from domain.task_type import TaskType
from guardrails.extras import require
from guardrails.text import readable
from guardrails.windows import merged, windows

# presidio's patterns take time by the square of a text's length, and one that takes too long is passed over in silence.
WINDOW, OVERLAP = 1000, 120
MIN_SCORE = 0.3
"""Below it presidio itself calls a match very weak."""
RECOGNIZERS = (
    "CreditCardRecognizer",
    "CryptoRecognizer",
    "EsNifRecognizer",
    "IbanRecognizer",
    "IpRecognizer",
    "ItFiscalCodeRecognizer",
    "MacAddressRecognizer",
    "PhoneRecognizer",
    "UsItinRecognizer",
    "UsSsnRecognizer",
)
"""Besides the one for e-mail."""


def build(task_type: TaskType) -> "Presidio":
    """The filter; it stands at no hop where it is not selected. Raises CatalogError where it is not installed."""
    selected = task_type.guards.pii == "presidio"
    if selected:
        require(task_type, "guards.pii", "presidio_analyzer", "presidio")
    return Presidio(frozenset(Hop) if selected else frozenset())


class Presidio:
    """What presidio's recognisers see, with its places."""

    id: str = "presidio"
    version: str = "1"

    def __init__(self, hops: frozenset[Hop]) -> None:
        self.hops = hops
        self._recognizers: Sequence[Any] = ()

    def prepare(self) -> None:
        """Load presidio, which takes seconds."""
        if not self._recognizers:
            self._recognizers = _recognizers()

    def check(self, subject: Subject) -> Finding | None:
        """A finding of the surest match's score."""
        self.prepare()
        text = readable(subject.text)
        found = {
            (start + hit.start, start + hit.end, hit.entity_type, hit.score)
            for start, piece in windows(text, WINDOW, OVERLAP)
            for recognizer in self._recognizers
            for hit in recognizer.analyze(piece, recognizer.supported_entities)
            if hit.score >= MIN_SCORE
        }
        if not found:
            return None
        kinds = Counter(kind.lower() for _, _, kind, _ in found)
        counted = ", ".join(f"{kind} ({count})" for kind, count in sorted(kinds.items()))
        return Finding(
            guard_id=self.id,
            version=self.version,
            category=next(iter(kinds)) if len(kinds) == 1 else "personal_data",
            score=min(1.0, max(score for _, _, _, score in found)),
            reason=f"looks like {counted}",
            spans=tuple(merged((start, end) for start, end, _, _ in found)),
        )


def _recognizers() -> Sequence[Any]:
    # Imported here: presidio brings spaCy along, which takes seconds and is needed only where it is selected.
    import tldextract
    from presidio_analyzer import predefined_recognizers as known

    class OfflineEmail(known.EmailRecognizer):  # type: ignore[misc]
        """presidio's own would fetch the list of public suffixes from the net at the first address."""

        _suffixes = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)

        def validate_result(self, pattern_text: str) -> bool:
            return bool(self._suffixes(pattern_text).fqdn)

    return [OfflineEmail(), *(getattr(known, name)() for name in RECOGNIZERS)]
