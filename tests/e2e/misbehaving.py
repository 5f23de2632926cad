# SPDX-License-Identifier: BSD-2-Clause
"""A receiver that answers as no server should, and keeps what it was sent and how it answered each.

How it answers is in ways.py; which way comes next says a `Choice`.
"""

import contextlib
import dataclasses
import enum
import gzip
import json
import random
import re
import select
import socket
import struct
import threading
import zlib
from collections.abc import Callable

from .receiver import KEY, parse_envelope

# A connection on which nothing happens for so long is given up.
PATIENCE = 60
# What an item of the soak says of itself, in its header or its payload.
PART = re.compile(rb'"soak":"([0-9a-f]{32}/\d+)"')
# Categories of client reports whose quantities are bytes.
BYTES = ("attachment", "log_byte", "trace_metric_byte")


class Outcome(enum.Enum):
    """What a client has to make of what it got, if it got all of it."""

    TAKEN = "answered with 2xx"
    LIMITED = "answered with 429"
    REFUSED = "answered with another status below 500"
    FAILED = "answered with 5xx"
    UNANSWERED = "not answered"
    # The client may have understood it or not: the answer breaks the protocol, or the client had gone by its end.
    UNSURE = "answered, maybe"


@dataclasses.dataclass
class Post:
    """One request that was read to its end."""

    way: str
    project: str
    # Of the event; empty if there was none, only a client report.
    id: str
    # How many events, or items of other kinds that count by number, its client report says were lost.
    discarded: int
    # What tells its parts apart: what each says of itself as `soak`, else the id of the event.
    parts: tuple[str, ...] = ()
    outcome: Outcome = Outcome.UNANSWERED


@dataclasses.dataclass(frozen=True)
class Way:
    """One way to treat a request; `act` ends true if the connection is to be kept."""

    name: str
    act: Callable[["Exchange"], bool]
    # The client has to try again after a pause.
    fails: bool


class Choice:
    """Says which way comes next: of `ways` each once in random order, then anew, half of the time `good`.

    `only`, if set, is the way that all requests get. It begins with `good`.
    """

    def __init__(self, ways: list[Way], good: Way, seed: int) -> None:
        self.ways = ways
        self.good = good
        self.only: Way | None = good
        self.rounds = 0
        self._left: list[Way] = []
        self._random = random.Random(seed)
        self._lock = threading.Lock()

    def next(self, failures: int) -> Way:
        """The next one for who failed so many times in a row: pauses double, so three are enough."""
        with self._lock:
            if self.only:
                return self.only
            if self._random.random() < 0.5:
                return self.good
            if not self._left:
                self._left = self._random.sample(self.ways, len(self.ways))
                self.rounds += 1
            if failures >= 3 and self._left[-1].fails:
                return self.good
            return self._left.pop()


class Misbehaving:
    """Listens on a port of its own; use as a context manager."""

    def __init__(self, choice: Choice) -> None:
        self.choice = choice
        # Instead of what `choice` says.
        self.only: Way | None = None
        self.posts: list[Post] = []
        self.complaints: list[str] = []
        # What may be answered, and is not among the posts, or not with what became of it.
        self.under_way: set[Exchange] = set()
        self.failures = 0
        # So many of the next connections are closed as soon as they are there.
        self.close_next = 0
        self._listener: socket.socket | None = None
        self._is_over = False
        self._lock = threading.Lock()

    def __enter__(self) -> "Misbehaving":
        # Has the port, so that nobody else gets it while it refuses connections.
        self._holder = bound(0)
        self.port: int = self._holder.getsockname()[1]
        return self

    def __exit__(self, *_: object) -> None:
        self._is_over = True
        self.refuse()
        self._holder.close()

    def dsn(self, project: int) -> str:
        return f"http://{KEY}@127.0.0.1:{self.port}/{project}"

    def listen(self) -> None:
        """Takes connections from now on."""
        with self._lock:
            if not self._listener and not self._is_over:
                self._listener = bound(self.port)
                self._listener.listen(64)
                threading.Thread(target=self._accept, args=(self._listener,), daemon=True).start()

    def refuse(self) -> None:
        """Refuses connections from now on."""
        with self._lock:
            if self._listener:
                # Wakes the thread that accepts.
                self._listener.shutdown(socket.SHUT_RDWR)
                self._listener.close()
                self._listener = None

    def of(self, *outcomes: Outcome) -> set[str]:
        """The ids that had one of these outcomes."""
        return {post.id for post in list(self.posts) if post.id and post.outcome in outcomes}

    def _accept(self, listener: socket.socket) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = listener.accept()
                if self.close_next:
                    self.close_next -= 1
                    connection.close()
                    continue
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        connection.settimeout(PATIENCE)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        with contextlib.suppress(OSError), connection, connection.makefile("rb") as reader:
            # A way is chosen when a request is there, not for a connection that is only kept.
            while reader.peek(1):
                way = self.only or self.choice.next(self.failures)
                self.failures = self.failures + 1 if way.fails else 0
                exchange = Exchange(self, way.name, connection, reader)
                self.under_way.add(exchange)
                try:
                    if not way.act(exchange):
                        return
                finally:
                    self.under_way.discard(exchange)


def bound(port: int) -> socket.socket:
    """A socket at that port, together with others of ours."""
    made = socket.socket()
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    made.bind(("127.0.0.1", port))
    return made


class Exchange:
    """One request and what is said to it."""

    def __init__(self, receiver: Misbehaving, way: str, connection: socket.socket, reader) -> None:  # noqa: ANN001
        self.receiver = receiver
        self.way = way
        self.connection = connection
        self.reader = reader
        self.post: Post | None = None
        # The client had gone before the last thing was said.
        self.is_late = False

    def read(self) -> None:
        """Reads the request to its end; it is one of the posts then."""
        head = b""
        while not head.endswith(b"\r\n\r\n"):
            line = self.reader.readline()
            if not line:
                raise OSError("the request ends early")
            head += line
        length = re.search(rb"^content-length: *(\d+)", head, re.I | re.M)
        body = self.reader.read(int(length[1])) if length else b""
        try:
            self.post = understood(self.way, head, body)
        except (ValueError, KeyError, IndexError, OSError, EOFError, zlib.error) as problem:
            self.receiver.complaints.append(f"{head[:60]!r}: {problem!r}")
            raise OSError from problem
        self.receiver.posts.append(self.post)

    def say(self, data: bytes) -> None:
        self.is_late = self.is_left()
        self.connection.sendall(data)

    def means(self, outcome: Outcome) -> None:
        """Notes what was answered, with all that says so."""
        if self.post:
            self.post.outcome = Outcome.UNSURE if self.is_late else outcome

    def is_left(self) -> bool:
        """Whether the client has closed the connection already."""
        if not select.select([self.connection], [], [], 0)[0]:
            return False
        try:
            return not self.connection.recv(1, socket.MSG_PEEK)
        except OSError:
            return True

    def reset(self) -> bool:
        """Ends the connection with RST in place of FIN."""
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        return False

    def hold(self) -> bool:
        """Keeps the connection, without a word, until the client has enough of it."""
        while self.reader.read1(65536):
            pass
        return False

    def repeat(self, data: bytes) -> bool:
        """Says the same until the client has enough of it."""
        while True:
            self.say(data)


def understood(way: str, head: bytes, body: bytes) -> Post:
    """The request as what it carries."""
    path = head.split(b" ", 2)[1].decode()
    project = re.fullmatch(r"/api/(\d+)/envelope/", path)
    if not project:
        raise ValueError("no envelope's path")
    if re.search(rb"^content-encoding: *gzip", head, re.I | re.M):
        body = gzip.decompress(body)
    header, items = parse_envelope(body)
    id = header.get("event_id", "")
    parts = tuple(part.decode() for part in PART.findall(body)) or ((id,) if id else ())
    discarded = 0
    for item, payload in items:
        if item["type"] == "event" and json.loads(payload)["event_id"] != header["event_id"]:
            raise ValueError("the event has another id than its envelope")
        # One that says `soak` came through a tunnel.
        if item["type"] == "client_report" and "soak" not in item:
            lost = json.loads(payload)["discarded_events"]
            discarded += sum(entry["quantity"] for entry in lost if entry["category"] not in BYTES)
    return Post(way, project[1], id, discarded, parts)
