# SPDX-License-Identifier: BSD-2-Clause
"""A receiver of Sentry envelopes: the least a server must do, and everything it got."""

import gzip
import http.server
import json
import socket
import ssl
import threading
from typing import Any

from . import wait
from .origin import Server

KEY = "0123456789abcdef0123456789abcdef"
PROJECT = "1"


class Receiver:
    """Answers every envelope with 200; `events` are the payloads of its event items, in order, `files` the
    attachments of each by their names.

    `bytes` is all that came, headers too, bodies uncompressed; `requests` the same one by one: the header lines by name in lower case, and the body.

    With `delay` each answer takes that many seconds, and the event counts as arrived only then. With `bound`, a
    socket that has its port already, it listens there. With `tls` it speaks that, and its DSN calls it localhost.
    """

    def __init__(
        self, delay: float = 0, bound: socket.socket | None = None, tls: ssl.SSLContext | None = None
    ) -> None:
        self.delay = delay
        self.bound = bound
        self.tls = tls
        self.closing = threading.Event()
        self.events: list[dict[str, Any]] = []
        self.files: list[dict[str, str]] = []
        self.complaints: list[str] = []
        self.bytes = b""
        self.requests: list[tuple[dict[str, str], bytes]] = []

    def __enter__(self) -> "Receiver":
        receiver = self

        class Handler(_Handler):
            def setup(self) -> None:
                self.receiver = receiver
                super().setup()

        self._server = Server(("127.0.0.1", 0), Handler, bind_and_activate=self.bound is None)
        if self.bound is not None:
            self._server.socket.close()
            self._server.socket = self.bound
            self._server.server_activate()
        self.port = self._server.socket.getsockname()[1]
        self.dsn = f"http://{KEY}@127.0.0.1:{self.port}/{PROJECT}"
        if self.tls is not None:
            # The handshake is the connection's thread's, with its first byte.
            listener = self._server.socket
            self._server.socket = self.tls.wrap_socket(listener, server_side=True, do_handshake_on_connect=False)
            self.dsn = f"https://{KEY}@localhost:{self.port}/{PROJECT}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def wait_for(self, count: int, seconds: float = 60) -> list[dict[str, Any]]:
        """The first `count` events or more, once they are here."""
        wait.until(lambda: len(self.events) >= count, f"{count} events arrive", seconds)
        return list(self.events)


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    receiver: Receiver

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.receiver.closing.wait(self.receiver.delay)
        try:
            answer = self.take(body)
            status = 200
        except (ValueError, KeyError, OSError) as problem:
            self.receiver.complaints.append(f"{self.path}: {problem!r}")
            answer, status = {"detail": str(problem)}, 400
        content = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def take(self, body: bytes) -> dict[str, str]:
        if self.path != f"/api/{PROJECT}/envelope/":
            raise ValueError(f"expected /api/{PROJECT}/envelope/")
        if self.headers["Content-Type"] != "application/x-sentry-envelope":
            raise ValueError(f"content type {self.headers['Content-Type']}")
        if f"sentry_key={KEY}" not in (self.headers["X-Sentry-Auth"] or ""):
            raise ValueError("no key in X-Sentry-Auth")
        if self.headers["Content-Encoding"] == "gzip":
            body = gzip.decompress(body)
        self.receiver.bytes += bytes(self.headers) + body
        self.receiver.requests.append(({name.lower(): value for name, value in self.headers.items()}, body))
        header, items = parse_envelope(body)
        attached = [(item["filename"], payload.decode(errors="replace")) for item, payload in items if item["type"] == "attachment"]
        self.receiver.files += [dict(attached) for item, _ in items if item["type"] == "event"]
        self.receiver.events += [json.loads(payload) for item, payload in items if item["type"] == "event"]
        return {"id": header.get("event_id", "")}

    def log_message(self, *_: object) -> None:
        pass


def parse_envelope(body: bytes) -> tuple[dict[str, Any], list[tuple[dict[str, Any], bytes]]]:
    """Splits an envelope into its header and its items, each of a header and a payload."""
    line, _, rest = body.partition(b"\n")
    header = json.loads(line)
    items = []
    while rest.strip():
        line, _, rest = rest.partition(b"\n")
        item = json.loads(line)
        length = item.get("length")
        if length is None:
            payload, _, rest = rest.partition(b"\n")
        else:
            payload, rest = rest[:length], rest[length:]
            if len(payload) < length or rest[:1] not in (b"", b"\n"):
                raise ValueError("the length of an item does not end at a newline")
            rest = rest[1:]
        items.append((item, payload))
    return header, items
