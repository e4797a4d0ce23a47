"""A hand-written OpenAI chat endpoint that answers as it is told."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.server import FakeHandler, serving


class FakeOpenAI:
    """What the endpoint says, and what it was asked."""

    def __init__(self, content: str = "", status: int = 200, delay: float = 0.0) -> None:
        self.content = content
        self.status = status
        self.delay = delay
        self.requests: list[dict[str, Any]] = []
        self.keys: list[str] = []
        self.base_url = ""

    def answer(self) -> dict[str, Any]:
        if self.status != 200:
            return {"error": {"message": "secret detail of the provider", "type": "rate_limit", "code": None}}
        message = {"role": "assistant", "content": self.content, "refusal": None}
        return {
            "id": "x",
            "object": "chat.completion",
            "created": 0,
            "model": "fake",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": 120, "completion_tokens": 40, "total_tokens": 160},
        }


@contextmanager
def fake_openai(**answer: Any) -> Iterator[FakeOpenAI]:
    """The endpoint on a free local port, in a thread."""
    fake = FakeOpenAI(**answer)
    released = threading.Event()

    class Handler(FakeHandler):
        def do_POST(self) -> None:
            fake.requests.append(self.body())
            fake.keys.append(self.headers.get("authorization", ""))
            if fake.delay:
                released.wait(fake.delay)
            self.answer(fake.status, fake.answer())

    with serving(Handler, released) as url:
        fake.base_url = f"{url}/v1"
        yield fake
