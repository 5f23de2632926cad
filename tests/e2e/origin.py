# SPDX-License-Identifier: BSD-2-Clause
"""An origin server that can be told to fail, per path and in several ways."""

import http.server
import socket
import struct
import threading


class Origin:
    """Answers 200 to everything, except for the paths in `faults`:

    an int   answers with that status
    "hang"   takes the request and never answers
    "reset"  takes the request and resets the connection

    `pages` have a content type and a body of their own. Set `cache_control` to choose what may be cached, and `more_headers` to send more of them; `requests` keeps
    the paths asked for, in order, and `headers` those of the last request for each path, by name in lower case.
    """

    def __init__(self, name: str):
        self.name = name
        self.faults: dict[str, int | str] = {}
        self.cache_control: dict[str, str] = {}
        self.more_headers: list[tuple[str, str]] = []
        self.pages: dict[str, tuple[str, bytes]] = {}
        self.requests: list[str] = []
        self.headers: dict[str, dict[str, str]] = {}
        self.closing = threading.Event()

    def __enter__(self) -> "Origin":
        origin = self

        class Handler(_Handler):
            def setup(self) -> None:
                self.origin = origin
                super().setup()

        self._server = Server(("127.0.0.1", 0), Handler)
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Server(http.server.ThreadingHTTPServer):
    """A server with one thread per connection that ends without waiting for them."""

    daemon_threads = True
    # A handler may sit on an idle keep-alive connection: closing does not wait for it.
    block_on_close = False
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """A connection that the other side closes is its business, not an error here."""


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    origin: Origin

    def do_GET(self) -> None:
        origin = self.origin
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        path = self.path.partition("?")[0]
        origin.requests.append(path)
        origin.headers[path] = {name.lower(): value for name, value in self.headers.items()}
        fault = origin.faults.get(path, 200)
        if fault == "hang":
            origin.closing.wait(60)
            self.close_connection = True
        elif fault == "reset":
            # Closing with a linger time of zero sends RST in place of FIN.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
            self.close_connection = True
        else:
            kind, body = origin.pages.get(path, ("text/plain", f"{path} by {origin.name}\n".encode()))
            self.send_response(int(fault))
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Cache-Control", origin.cache_control.get(path, "no-store"))
            self.send_header("X-Served-By", origin.name)
            for name, value in origin.more_headers:
                self.send_header(name, value)
            self.end_headers()
            if self.command != "HEAD":
                self.wfile.write(body)

    do_HEAD = do_POST = do_PUT = do_DELETE = do_GET

    def log_message(self, *_: object) -> None:
        pass
