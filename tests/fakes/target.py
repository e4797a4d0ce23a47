"""A real HTTP server that acts when it is told to, and can be told to misbehave."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import parse_qs, urlsplit

from domain.action import ExecutorKind
from tests.fakes.server import FakeHandler, serving


class FakeTarget:
    """What it did, what it was sent, and how it answers."""

    def __init__(self, kind: ExecutorKind) -> None:
        self.kind = kind
        self.codes: list[int] = []
        """Answered instead of acting, one for each request to come; 0 acts."""
        self.late: list[int] = []
        """Answered behind the effect, one for each request that is acted on."""
        self.refused: frozenset[str] = frozenset()
        """Steps that are answered with `refusal`."""
        self.refusal = 400
        self.lose = 0
        """So many requests are acted on, and the connection dropped without an answer."""
        self.hang = 0
        """So many requests are acted on, and never answered."""
        self.requests: list[tuple[str, int, dict[str, Any]]] = []
        self.effects: list[str] = []
        """The key of each effect, in order."""
        self.questions: list[str] = []
        self.fences: dict[str, int] = {}
        self.url = ""
        self.answer: dict[str, Any] = {}
        """Said beside the receipt."""
        self.released = threading.Event()
        self.lock = threading.Lock()

    def act(self, key: str, fence: int, body: dict[str, Any]) -> int:
        """The answer's code; the effect happens as this kind of target lets it."""
        with self.lock:
            self.requests.append((key, fence, body))
            if self.codes and (code := self.codes.pop(0)):
                return code
            if body["subtask"] in self.refused:
                return self.refusal
            if self.kind is ExecutorKind.FENCED:
                if fence < self.fences.get(body["task"], 0):
                    return 409
                self.fences[body["task"]] = fence
            honours = self.kind in (ExecutorKind.DEDUP, ExecutorKind.FENCED)
            if not (honours and key in self.effects):
                self.effects.append(key)
            return self.late.pop(0) if self.late else 200

    def parameters(self, **more: Any) -> dict[str, Any]:
        """What a task type says of it."""
        found = {"url": f"{self.url}/act", "kind": self.kind.value, "timeout_seconds": 1.0}
        if self.kind is ExecutorKind.QUERY:
            found |= {"query_url": f"{self.url}/ask", "max_send_seconds": 1.5}
        return found | more

    def of(self, step: str) -> int:
        """How often the step took effect."""
        return sum(key.endswith(f"/{step}") for key in self.effects)


@contextmanager
def fake_target(kind: ExecutorKind = ExecutorKind.DEDUP) -> Iterator[FakeTarget]:
    """The target on a free local port, in a thread."""
    target = FakeTarget(kind)

    class Handler(FakeHandler):
        def do_POST(self) -> None:
            code = target.act(self.headers["Idempotency-Key"], int(self.headers["Fence"]), self.body())
            if target.hang and code == 200:
                target.hang -= 1
                target.released.wait(30)
                return
            if target.lose and code == 200:
                target.lose -= 1
                self.close_connection = True
                return
            self.answer(code, {"receipt": len(target.effects), **target.answer})

        def do_GET(self) -> None:
            key = parse_qs(urlsplit(self.path).query)["key"][0]
            target.questions.append(key)
            self.answer(200 if key in target.effects else 404, {"key": key})

    with serving(Handler, target.released) as target.url:
        yield target
