"""A hand-written OpenAI chat endpoint that answers as it is told."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            fake.requests.append(json.loads(body))
            fake.keys.append(self.headers.get("authorization", ""))
            if fake.delay:
                released.wait(fake.delay)
            data = json.dumps(fake.answer()).encode()
            try:
                self.send_response(fake.status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)
            except (BrokenPipeError, ConnectionResetError):
                return  # the caller gave up, which is what a time-out test wants

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    fake.base_url = f"http://127.0.0.1:{server.server_port}/v1"
    try:
        yield fake
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
