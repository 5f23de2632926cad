# SPDX-License-Identifier: BSD-2-Clause
"""An origin that does what a request's header `Do` says, and fails all of its shop while it is told to be ill."""

import http.server
import re
import socket
import struct
import threading
import time

from e2e.origin import Server

# A page and what it includes: calls, a part that may be cached, one that includes more, one that fails.
PAGE = """<html><esi:include src="/call/a"/><esi:include src="/fixed/1"/><esi:include src="/page/inner"/>
<esi:include src="/pass/broken"/>end of the page</html>"""
INNER = '<esi:include src="/call/b"/>end of the part'
LARGE = b"0123456789abcdef" * 4096
LARGE_PIECES = 24


class Origin:
    """Listens on a port of its own; use as a context manager."""

    def __init__(self) -> None:
        # Its shop answers nothing but 503 then.
        self.is_ill = False
        self.closing = threading.Event()

    def __enter__(self) -> "Origin":
        origin = self

        class Handler(_Handler):
            def setup(self) -> None:
                self.origin = origin
                super().setup()

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    origin: Origin

    def do_GET(self) -> None:
        do = self.headers["Do"] or ""
        if do == "answer-early":
            # And closes with bytes unread, which resets the connection.
            self.reply(200, b"early", ("Connection", "close"))
            self.close_connection = True
            return
        read = self.read_body()
        act = getattr(self, "do_" + do.replace("-", "_"), None)
        if self.path.startswith("/pipe"):
            self.pipe()
        elif act:
            act()
        elif self.fails():
            self.reply(503, b"down")
        elif self.path.startswith("/page"):
            self.reply(200, (INNER if self.path.startswith("/page/inner") else PAGE).encode(), ("Esi", "yes"))
        elif self.path.startswith("/large"):
            self.reply(200, LARGE * LARGE_PIECES)
        else:
            self.reply(200, f"{self.path.partition('?')[0]} got {read}\n".encode())

    do_HEAD = do_POST = do_PUT = do_GET

    def fails(self) -> bool:
        if self.path.startswith("/shop/"):
            number = int(re.search(r"\d+", self.path)[0])
            return self.origin.is_ill or number % 11 == 0
        return int(self.headers["Attempt"] or 0) < int(self.headers["Failures"] or 0) or "broken" in self.path

    def read_body(self) -> int:
        """Reads the request's body; returns its length."""
        if self.headers["Transfer-Encoding"] == "chunked":
            read = 0
            while length := int(self.rfile.readline().strip() or b"0", 16):
                read += len(self.rfile.read(length + 2)) - 2
            self.rfile.readline()
            return read
        return len(self.rfile.read(int(self.headers["Content-Length"] or 0)))

    def reply(self, status: int, body: bytes, *headers: tuple[str, str]) -> None:
        self.head(status, ("Content-Length", str(len(body))), *headers)
        if self.command != "HEAD":
            self.wfile.write(body)

    def head(self, status: int, *headers: tuple[str, str]) -> None:
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.end_headers()

    def pipe(self) -> None:
        """Tells the calls of vcl_pipe, then says back what it hears."""
        self.head(200, ("Made", self.headers["Made"] or ""), ("Connection", "close"))
        while heard := self.rfile.read1(65536):
            self.wfile.write(heard)
        self.close_connection = True

    def do_reset(self) -> None:
        # Closing with a linger time of zero sends RST in place of FIN.
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.close_connection = True

    def do_hang(self) -> None:
        self.origin.closing.wait(1)
        self.close_connection = True

    def do_stall(self) -> None:
        """Stops in the middle of a body."""
        self.head(200, ("Content-Length", "1000"), ("Connection", "close"))
        self.wfile.write(b"x" * 10)
        self.do_hang()

    def do_break(self) -> None:
        """Closes in the middle of a body."""
        self.head(200, ("Content-Length", "1000"), ("Connection", "close"))
        self.wfile.write(b"x" * 10)
        self.close_connection = True

    def do_slowly(self) -> None:
        self.head(200, ("Transfer-Encoding", "chunked"))
        for _ in range(5):
            time.sleep(0.02)
            self.wfile.write(b"6\r\nslowly\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def do_garbage(self) -> None:
        self.wfile.write(bytes(range(256)))
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        pass
