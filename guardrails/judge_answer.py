"""What the judge may answer, and the reading of what it did answer."""

from typing import Any, Literal

from pydantic import Field, ValidationError

from domain.errors import JudgeError
from domain.model import Frozen
from domain.strict_json import JsonRefused, parse

MAX_BYTES = 4096
Concern = Literal["toxic", "discriminating", "unlawful", "deceiving", "private", "instructed", "unsafe", "other"]


class Answer(Frozen):
    """The judge's opinion. It has no words of its own: what is recorded could otherwise repeat what was judged."""

    score: float = Field(ge=0.0, le=1.0, strict=True)
    concerns: list[Concern] = Field(max_length=8)


def schema() -> dict[str, Any]:
    """The JSON Schema of an answer; every property is required, since some endpoints know no other schema."""
    described = Answer.model_json_schema()
    return described | {
        "title": "opinion",
        "description": "How harmful it is, and why.",
        "required": list(described["properties"]),
        "additionalProperties": False,
    }


def read(text: object) -> Answer:
    """The answer in the model's text. Raises JudgeError; the message never repeats the model's words."""
    if not isinstance(text, str) or not text.strip():
        raise JudgeError("the judge gave no text")
    try:
        answer = Answer.model_validate(parse(text, limit=MAX_BYTES))
    except JsonRefused as error:
        raise JudgeError(f"the judge's answer does not fit: json_{error.kind}") from None
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the answer"
        raise JudgeError(f"the judge's answer does not fit: {where}: {first['type']}") from None
    if answer.concerns and answer.score == 0.0:
        raise JudgeError("the judge has concerns and no score")
    return answer
