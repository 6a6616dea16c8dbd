"""A server on a real port that answers each request with given bytes."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Serving:
    """Answers every request with ``body``."""

    def __init__(self) -> None:
        self.body = b""
        self.base_url = ""


@contextmanager
def serving() -> Iterator[Serving]:
    """A server of one body at a time; connections stay open."""
    served = Serving()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            body = served.body
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n"
            self.wfile.write(head.encode() + body)

        def log_message(self, *_: object) -> None:
            """Log no request."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    served.base_url = f"http://127.0.0.1:{server.server_port}/api"
    try:
        yield served
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
