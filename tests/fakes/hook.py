"""A real HTTP server that takes notices, and can be told to misbehave."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


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

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
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
            try:
                self.send_response(code)
                if 300 <= code < 400:
                    self.send_header("Location", hook.location)
                self.send_header("Content-Length", "2")
                self.end_headers()
                self.wfile.write(b"ok")
            except (BrokenPipeError, ConnectionResetError):
                return  # the caller gave up

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    hook.url = f"http://127.0.0.1:{server.server_port}/services/T0/token-that-is-secret"
    try:
        yield hook
    finally:
        hook.released.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
