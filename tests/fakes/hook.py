"""A real HTTP server that takes notices, and can be told to misbehave."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.fakes.server import FakeHandler, serving


class FakeHook:
    """What it was sent, and how it answers."""

    def __init__(self) -> None:
        self.codes: list[int] = []
        """Answered in this order, one for each request to come; then 200."""
        self.hang = 0
        """So many requests are taken, and never answered."""
        self.drop = 0
        """So many requests are taken, and the connection closed without an answer."""
        self.location = ""
        """Sent with a 3xx."""
        self.keys: list[str] = []
        """The key of each request, in order, whatever was answered."""
        self.bodies: list[dict[str, Any]] = []
        self.url = ""
        self.released = threading.Event()
        self.lock = threading.Lock()

    @property
    def texts(self) -> list[str]:
        """The headline of each request."""
        return [body["text"] for body in self.bodies]


@contextmanager
def fake_hook() -> Iterator[FakeHook]:
    """The hook on a free local port, in a thread."""
    hook = FakeHook()

    class Handler(FakeHandler):
        def do_POST(self) -> None:
            body = self.body()
            with hook.lock:
                hook.keys.append(self.headers["Idempotency-Key"])
                hook.bodies.append(body)
                code = hook.codes.pop(0) if hook.codes else 200
                hanging, dropping = hook.hang > 0, hook.drop > 0
                hook.hang, hook.drop = max(0, hook.hang - 1), max(0, hook.drop - 1)
            if hanging:
                hook.released.wait(60)
            if hanging or dropping:
                self.close_connection = True
                return
            self.answer(code, {}, **({"Location": hook.location} if 300 <= code < 400 else {}))

    with serving(Handler, hook.released) as url:
        hook.url = f"{url}/services/T0/token-that-is-secret"
        yield hook
