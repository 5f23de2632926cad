# SPDX-License-Identifier: BSD-2-Clause
"""Who asks, and for what: each visit is a function of a visitor that makes one request or some, and says what is wrong."""

import contextlib
import dataclasses
import http.client
import json
import random
import socket
import struct
import threading
import time
from collections.abc import Callable

from . import http2, origin, site
from .book import Book

# Of a socket: longer than anything here may take.
PATIENCE = 30
FIXED = 20
SHOP = 60
SUBS = {"/call": ("recv", "synth"), "/fixed": ("recv", "hash", "deliver")}


@dataclasses.dataclass(frozen=True)
class Visit:
    name: str
    act: Callable[["Visitor"], None]
    share: int
    # 1, 2, or 0 for both.
    protocol: int


VISITS: list[Visit] = []


def visit(
    share: int, protocol: int = 0, group: list[Visit] = VISITS
) -> Callable[[Callable[["Visitor"], None]], Callable[["Visitor"], None]]:
    """Adds a function to the group: what share of all visits it has, and with which protocol."""

    def add(act: Callable[["Visitor"], None]) -> Callable[["Visitor"], None]:
        group.append(Visit(act.__name__, act, share, protocol))
        return act

    return add


class Wrong(Exception):
    """The answer is not what it should be."""


class Upset(Exception):
    """This is no time for another connection."""


@dataclasses.dataclass
class Answer:
    status: int
    headers: dict[str, str]
    body: bytes

    def expect(self, status: int, body: bytes = b"") -> None:
        if self.status != status or body not in self.body:
            raise Wrong(f"{self.status} {self.headers} {self.body[:80]!r}")


class Visitor(threading.Thread):
    """Makes one visit after the other until it is told to stop; who has `busy` sees none under way."""

    def __init__(
        self, visits: list[Visit], port: int, protocol: int, seed: int, times: "Times", is_upset: threading.Event
    ) -> None:
        super().__init__(daemon=True)
        self.port, self.protocol, self.times, self.is_upset = port, protocol, times, is_upset
        self.random = random.Random(seed)
        self.visits = [visit for visit in visits if visit.protocol in (0, protocol)]
        self.shares = [visit.share for visit in self.visits]
        self.busy = threading.Lock()
        self.stopping = threading.Event()
        # The calls of this child's life.
        self.book = Book()
        self.wrong: list[str] = []
        self.number = 0
        # The last visit that had its answer.
        self.latest = ""
        self._line: http2.Connection | http.client.HTTPConnection | None = None

    def run(self) -> None:
        while not self.stopping.is_set():
            with self.busy:
                self.visit(self.random.choices(self.visits, self.shares)[0])
            self.stopping.wait(self.random.choice((0, 0.002, 0.01)))
        self.hang_up()

    def visit(self, visit: Visit) -> None:
        self.number += 1
        begin = time.monotonic()
        try:
            visit.act(self)
            self.times.add(f"{visit.name}/{self.protocol}", time.monotonic() - begin)
            self.latest = visit.name
        except Upset:
            pass
        except (OSError, http.client.HTTPException, ValueError, KeyError, Wrong) as problem:
            self.hang_up()
            self.book.tear()
            # A child that is killed leaves visits without an answer.
            if not self.is_upset.is_set():
                self.wrong.append(f"{visit.name}, HTTP/{self.protocol}, visit {self.number}: {problem!r}")

    def hang_up(self) -> None:
        if self._line:
            self._line.close()
        self._line = None

    def unique(self, folder: str) -> str:
        """A URL that nobody else asks for."""
        return f"/{folder}/{self.name}/{self.number}/{self.random.randrange(1 << 30)}"

    def call(self, *subs: str, can_watch: bool = True) -> dict[str, str]:
        """Headers that ask for a call in one of these subs."""
        kinds = dict(site.SHARES)
        if can_watch:
            kinds[site.WATCHED] = 2
        kind = self.random.choices(list(kinds), list(kinds.values()))[0]
        return {"Client": self.random.choice(site.CALLED).name, "Kind": kind, "Where": self.random.choice(subs)}

    def ask(self, method: str, url: str, headers: dict[str, str] | None = None, body: bytes | list[bytes] = b"") -> Answer:
        """One request, on the connection that is there; the calls that its answer tells are noted. A body in pieces is sent
        without saying how long it is."""
        answer = self.ask_2(method, url, headers or {}, body) if self.protocol == 2 else self.ask_1(method, url, headers or {}, body)
        for name in ("made", "made-fetch"):
            self.book.read(answer.headers.get(name, ""))
        return answer

    def ask_1(self, method: str, url: str, headers: dict[str, str], body: bytes | list[bytes]) -> Answer:
        if isinstance(self._line, http.client.HTTPConnection) and not self._line.sock:
            self.hang_up()
        if not self._line:
            self.check_time()
            self._line = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
            self._line.auto_open = 0
            self._line.connect()
        assert isinstance(self._line, http.client.HTTPConnection)
        self._line.request(method, url, body or None, {"Host": "shop.example"} | headers)
        response = self._line.getresponse()
        return Answer(response.status, {name.lower(): value for name, value in response.getheaders()}, response.read())

    def ask_2(self, method: str, url: str, headers: dict[str, str], body: bytes | list[bytes]) -> Answer:
        body = body if isinstance(body, bytes) else b"".join(body)
        line = self.line_2()
        if not line.has_room(len(body)):
            self.hang_up()
            line = self.line_2()
        return Answer(*line.finish(line.start(method, url, headers, body)))

    def line_2(self) -> http2.Connection:
        if not self._line:
            self.check_time()
            self._line = http2.Connection(self.port, PATIENCE)
        assert isinstance(self._line, http2.Connection)
        return self._line

    def check_time(self) -> None:
        if self.is_upset.is_set():
            raise Upset

    @contextlib.contextmanager
    def raw(self, data: bytes):  # noqa: ANN201
        """A connection of its own on which that is said."""
        self.check_time()
        with socket.create_connection(("127.0.0.1", self.port), PATIENCE) as connection:
            connection.sendall(data)
            yield connection


class Times:
    """How long visits took, by name."""

    def __init__(self) -> None:
        self.seconds: dict[str, list[float]] = {}
        self._lock = threading.Lock()

    def add(self, name: str, seconds: float) -> None:
        with self._lock:
            self.seconds.setdefault(name, []).append(seconds)


# What a cache is for.


@visit(20)
def call(visitor: Visitor) -> None:
    visitor.ask("GET", visitor.unique("call"), visitor.call("recv", "synth")).expect(200, b"by the cache")


@visit(20)
def hit(visitor: Visitor) -> None:
    url = f"/fixed/{visitor.random.randrange(FIXED)}"
    visitor.ask("GET", url, visitor.call("recv", "hash", "deliver")).expect(200, url.encode())


@visit(8)
def miss(visitor: Visitor) -> None:
    url = visitor.unique("miss")
    visitor.ask("GET", url, visitor.call("miss", "fetch", "response", "deliver")).expect(200, url.encode())


@visit(6)
def pass_with_a_body(visitor: Visitor) -> None:
    body = bytes(visitor.random.choices(b"abc=&{}\":", k=visitor.random.randrange(1, 5000)))
    headers = visitor.call("recv", "pass", "fetch", "response", "deliver")
    headers |= {"Content-Type": visitor.random.choice(("application/json", "application/x-www-form-urlencoded", "text/plain"))}
    if visitor.random.random() < 0.5:
        headers["Cache-Body"] = "yes"
    visitor.ask("POST", visitor.unique("pass"), headers, body).expect(200, b"got %d" % len(body))


@visit(2)
def head(visitor: Visitor) -> None:
    if visitor.protocol == 1:
        visitor.ask("HEAD", visitor.unique("miss"), visitor.call("deliver")).expect(200)


@visit(4)
def esi(visitor: Visitor) -> None:
    answer = visitor.ask("GET", visitor.unique("page"), visitor.call("synth", can_watch=True))
    answer.expect(200, b"end of the page")
    # Its parts tell their calls in their bodies.
    if visitor.book.read(answer.body.decode()) != 2 or b"end of the part" not in answer.body:
        raise Wrong(f"{answer.body!r}")


@visit(4)
def restart(visitor: Visitor) -> None:
    headers = visitor.call("recv", "hash", "deliver", can_watch=False) | {"Restarts": str(visitor.random.randrange(1, 4))}
    visitor.ask("GET", f"/fixed/{visitor.random.randrange(FIXED)}", headers).expect(200)


@visit(4)
def retry(visitor: Visitor) -> None:
    failures = visitor.random.randrange(1, 4)
    headers = visitor.call("fetch", "response", can_watch=False) | {"Failures": str(failures)}
    visitor.ask("GET", visitor.unique("miss"), headers).expect(503 if failures == 3 else 200)


@visit(3)
def failed_fetch(visitor: Visitor) -> None:
    do = visitor.random.choice(("refuse", "reset", "hang", "garbage"))
    visitor.ask("GET", visitor.unique("miss"), visitor.call("error", "deliver") | {"Do": do}).expect(503)


@visit(2)
def failed_vcl(visitor: Visitor) -> None:
    # What was told before it failed is rolled back.
    visitor.ask("GET", visitor.unique("fail"), visitor.call("synth", can_watch=False)).expect(503)


@visit(2)
def slow_answer(visitor: Visitor) -> None:
    visitor.ask("GET", visitor.unique("pass"), visitor.call("deliver") | {"Do": "slowly"}).expect(200, b"slowly" * 5)


@visit(1)
def large_answer(visitor: Visitor) -> None:
    answer = visitor.ask("GET", visitor.unique("large"), visitor.call("response", "deliver"))
    answer.expect(200)
    if answer.body != origin.LARGE * origin.LARGE_PIECES:
        raise Wrong(f"{len(answer.body)} bytes")


@visit(2)
def trace(visitor: Visitor) -> None:
    id = f"{visitor.random.getrandbits(128):032x}"
    headers = {"sentry-trace": f"{id}-{visitor.random.getrandbits(64):016x}-1", "baggage": f"a=b,sentry-trace_id={id},sentry-x=y"}
    visitor.ask("GET", visitor.unique("miss"), visitor.call("recv", "response") | headers).expect(200)


@visit(1)
def look(visitor: Visitor) -> None:
    answer = visitor.ask("GET", "/status")
    answer.expect(200)
    names = [client["name"] for client in json.loads(answer.body)]
    if names != [client.name for client in site.CLIENTS]:
        raise Wrong(f"{names}")
    answer = visitor.ask("GET", "/report")
    answer.expect(200)
    json.loads(answer.body)
    answer = visitor.ask("GET", "/count")
    answer.expect(200)
    json.loads(answer.body)


@visit(1)
def flush(visitor: Visitor) -> None:
    visitor.ask("GET", "/flush").expect(200)


@visit(1, protocol=1)
def pipe(visitor: Visitor) -> None:
    lines = [f"GET {visitor.unique('pipe')} HTTP/1.1", "Host: shop.example", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in visitor.call("recv", "pipe", can_watch=False).items()]
    with visitor.raw("\r\n".join([*lines, "", ""]).encode()) as connection, connection.makefile("rb") as reader:
        status = reader.readline()
        while (line := reader.readline()).strip():
            if line.lower().startswith(b"made:"):
                visitor.book.read(line.decode())
        said = visitor.random.randbytes(3000)
        connection.sendall(said)
        connection.shutdown(socket.SHUT_WR)
        if b" 200 " not in status or reader.read() != said:
            raise Wrong(f"{status!r}")


@visit(2, protocol=2)
def many_at_once(visitor: Visitor) -> None:
    line = visitor.line_2()
    streams = [line.start("GET", f"/fixed/{number}", visitor.call("recv", "deliver")) for number in range(8)]
    for stream in visitor.random.sample(streams, len(streams)):
        answer = Answer(*line.finish(stream))
        visitor.book.read(answer.headers.get("made", ""))
        answer.expect(200)


# Saint mode.


@visit(16)
def shop(visitor: Visitor) -> None:
    headers = {}
    if visitor.random.random() < 0.05:
        headers["Deny"] = visitor.random.choice(("1ms", "100ms", "1s"))
    do = visitor.random.random()
    if do < 0.03:
        headers["Do"] = visitor.random.choice(("reset", "hang", "break", "stall"))
    try:
        answer = visitor.ask("GET", f"/shop/{visitor.random.randrange(SHOP)}?{visitor.random.randrange(3)}", headers)
    except (http.client.IncompleteRead, http2.Broken):
        # Another one's, who asked for it to break.
        visitor.hang_up()
        return
    if answer.status not in (200, 503):
        answer.expect(200)


@visit(1)
def purge(visitor: Visitor) -> None:
    visitor.ask("PURGE", f"/shop/{visitor.random.randrange(SHOP)}").expect(200)


# What is left half way: only `wild` sees it.


def reset(connection: socket.socket) -> None:
    """Closes it with RST in place of FIN."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    connection.close()


@visit(2, protocol=1)
def upload_given_up(visitor: Visitor) -> None:
    folder = visitor.random.choice(("pass", "shop/7"))
    chunked = visitor.random.random() < 0.5
    length = "Transfer-Encoding: chunked" if chunked else "Content-Length: 100000"
    body = b"1000\r\n" + b"x" * 1000 if chunked else b"x" * visitor.random.randrange(60000)
    with visitor.raw(f"POST {visitor.unique(folder)} HTTP/1.1\r\nHost: a\r\n{length}\r\n\r\n".encode() + body) as connection:
        if visitor.random.random() < 0.5:
            reset(connection)


@visit(2, protocol=2)
def upload_taken_back(visitor: Visitor) -> None:
    if not visitor.line_2().has_room(20000):
        visitor.hang_up()
    line = visitor.line_2()
    body = b"x" * visitor.random.randrange(1, 20000)
    stream = line.start("POST", visitor.unique("pass"), {"content-length": "100000"}, body, is_whole=False)
    if visitor.random.random() < 0.5:
        line.leave(stream)
    else:
        visitor.hang_up()


@visit(1, protocol=1)
def download_given_up(visitor: Visitor) -> None:
    with visitor.raw(f"GET {visitor.unique('large')} HTTP/1.1\r\nHost: a\r\n\r\n".encode()) as connection:
        connection.recv(1000)
        if visitor.random.random() < 0.5:
            reset(connection)


@visit(1, protocol=2)
def download_taken_back(visitor: Visitor) -> None:
    line = visitor.line_2()
    stream = line.start("GET", visitor.unique("large"), {})
    line.begin(stream)
    if visitor.random.random() < 0.5:
        line.leave(stream)
    else:
        visitor.hang_up()


@visit(1)
def answer_that_breaks(visitor: Visitor) -> None:
    # Where it breaks before anything was sent on, there is an answer.
    with contextlib.suppress(http.client.IncompleteRead, http2.Broken):
        visitor.ask("GET", visitor.unique("pass"), {"Do": visitor.random.choice(("break", "stall"))})
    visitor.hang_up()


@visit(1, protocol=1)
def early_answer(visitor: Visitor) -> None:
    """The origin answers before it has read the body, and closes."""
    body = b"x" * 200_000
    head = f"POST {visitor.unique('pass')} HTTP/1.1\r\nHost: a\r\nDo: answer-early\r\nContent-Length: {len(body)}\r\n\r\n"
    with contextlib.suppress(OSError), visitor.raw(head.encode() + body) as connection:
        connection.recv(1000)


@visit(1, protocol=1)
def garbage(visitor: Visitor) -> None:
    said = visitor.random.choice(
        (
            visitor.random.randbytes(2000),
            b"GET /\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
            b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X-Many: 1\r\n" * 200 + b"\r\n",
            b"GET /" + b"a" * 60000 + b" HTTP/1.1\r\nHost: a\r\n\r\n",
            http2.PREFACE + visitor.random.randbytes(300),
            b"POST /pass HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        )
    )
    with contextlib.suppress(OSError), visitor.raw(said) as connection:
        connection.settimeout(2)
        connection.recv(1000)
