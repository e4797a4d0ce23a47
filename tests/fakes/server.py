"""The frame of the fakes that speak HTTP: a server of their own on a free local port, in a thread."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

OUTBOUND_HOSTS = "127.0.0.1:*"
"""What `PARLEY_OUTBOUND_HOSTS` says where a fake is to be called."""


class FakeHandler(BaseHTTPRequestHandler):
    """Reads and answers JSON, and is silent about it."""

    def body(self) -> dict[str, Any]:
        """What was sent."""
        read: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        return read

    def answer(self, code: int, body: dict[str, Any], **headers: str) -> None:
        """Send it; whether the caller is still there plays no part."""
        content = json.dumps(body).encode()
        try:
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            for name, value in headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(content)
        except (BrokenPipeError, ConnectionResetError):
            return

    def log_message(self, format: str, *args: Any) -> None:
        return


@contextmanager
def serving(handler: type[FakeHandler], released: threading.Event) -> Iterator[str]:
    """Its URL; in the end `released` is set, for what hangs."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        released.set()
        server.shutdown()
        server.server_close()
        thread.join(timeout=5)
