"""What a language model may answer, and the reading of what it did answer."""

from collections.abc import Sequence
from typing import Annotated, Any

from pydantic import Field, StringConstraints, ValidationError

from domain.errors import ReasonerError
from domain.memory import PersonaContext
from domain.model import Frozen
from domain.proposal import Evidence, Option
from domain.strict_json import JsonRefused, parse

ABSTAIN = "abstain"
MAX_CHARACTERS = 20_000
Sentence = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Id = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class Answer(Frozen):
    """A model's vote."""

    option: str = Field(max_length=200)
    confidence: float = Field(ge=0.0, le=1.0)
    rationale: str = Field(min_length=1, max_length=1000)
    reasons: list[Sentence] = Field(max_length=4)
    evidence: list[Id] = Field(max_length=20)
    cites: list[Id] = Field(max_length=20)
    ranking: list[Id] = Field(default=[])
    """Options from best to worst, beginning with `option`; empty where it has no order to give."""


def schema(options: Sequence[Option], ids: Sequence[str], shared: Sequence[str]) -> dict[str, Any]:
    """The JSON Schema of an answer to this context: only its options and ids can be named.

    Every property is required, since some endpoints know no other schema; `ranking` may be left empty.
    """
    described = Answer.model_json_schema()
    properties = described["properties"]
    names = [option.name for option in options]
    properties["option"] = {"type": "string", "enum": [*names, ABSTAIN]}
    properties["evidence"] = _chosen(ids)
    properties["cites"] = _chosen(shared)
    properties["ranking"] = _chosen(names, len(names))
    return described | {
        "title": "vote",
        "description": "One vote with its grounds.",
        "required": list(properties),
        "additionalProperties": False,
    }


def read(text: object, options: Sequence[Option], evidence: Sequence[str], shared: Sequence[str]) -> Answer:
    """The answer in the model's text. Raises ReasonerError; the message never repeats the model's words."""
    if not isinstance(text, str) or not text.strip():
        raise ReasonerError("the model gave no text")
    if len(text) > MAX_CHARACTERS:
        raise ReasonerError(f"the model's answer has more than {MAX_CHARACTERS} characters")
    try:
        answer = Answer.model_validate(parse(text))
    except JsonRefused as error:
        if error.kind == "nul":
            raise ReasonerError("the model's answer holds a NUL character") from None
        raise ReasonerError(f"the model's answer does not fit: the answer: json_{error.kind}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise ReasonerError(f"the model's answer does not fit: {where}: {first['type']}") from None
    if answer.option != ABSTAIN and answer.option not in {option.name for option in options}:
        raise ReasonerError("the model chose an option that is not on the table")
    _check_ranking(answer, options)
    if not set(answer.evidence) <= set(evidence):
        raise ReasonerError("the model named evidence that it was not shown")
    if not set(answer.cites) <= set(shared):
        raise ReasonerError("the model cited evidence that nobody shared")
    return answer


def _check_ranking(answer: Answer, options: Sequence[Option]) -> None:
    ranking = answer.ranking
    if not ranking:
        return
    if ranking[0] != answer.option or answer.option == ABSTAIN:
        raise ReasonerError("the model's ranking does not begin with its option")
    if not set(ranking) <= {option.name for option in options}:
        raise ReasonerError("the model ranked an option that is not on the table")
    if len(set(ranking)) < len(ranking):
        raise ReasonerError("the model ranked an option twice")


def on_show(context: PersonaContext) -> dict[str, Evidence]:
    """All evidence a model may name, by id. Values come from the context, never from the model."""
    pieces = [Evidence(id=f"field:{name}", field=name, value=_plain(value)) for name, value in context.working.items()]
    for kind, memories in (("episode", context.episodes), ("fact", context.facts)):
        pieces += [Evidence(id=f"{kind}:{memory['id']}") for memory in memories if "id" in memory]
    for item in context.shared:
        pieces.append(Evidence(id=str(item["id"]), field=item.get("field"), value=_plain(item.get("value"))))
    shown: dict[str, Evidence] = {}
    for piece in pieces:
        shown.setdefault(piece.id, piece)
    return shown


def _plain(value: Any) -> str | float | int | bool | None:
    return value if value is None or isinstance(value, str | int | float) else str(value)


def _chosen(ids: Sequence[str], most: int = 20) -> dict[str, Any]:
    if not ids:
        return {"type": "array", "items": {"type": "string"}, "maxItems": 0}
    return {"type": "array", "items": {"type": "string", "enum": list(ids)}, "maxItems": most}
