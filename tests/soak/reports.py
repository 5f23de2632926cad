# SPDX-License-Identifier: BSD-2-Clause
"""Visits to the tunnels: what browsers and applications report, and what nobody should.

Each item says in its header, or an event without an envelope in its payload, what it is called and for how many it counts.
"""

import contextlib
import dataclasses
import gzip
import http.client
import json
import urllib.parse
from collections.abc import Iterable

from e2e.receiver import KEY

from .visits import Answer, Visit, Visitor, Wrong, reset, visit

VISITS: list[Visit] = []
# Those of `front` that are listed; half of what comes for the second one is left out by chance.
PROJECTS = (1, 2, 3)
# Above the max_body of either tunnel.
TOO_LARGE = 150_000
# What is answered with what, and by which counter.
STATUSES = {"processed": 200, "throttled": 200, "ignored": 200, "sampled": 200, "limited": 429, "dropped": 200}
REFUSALS = {
    "method not allowed": ("refused_method", 405),
    "no key and project are named": ("refused_no_key", 400),
    "the keys or projects that are named differ": ("refused_keys_differ", 403),
    "no such key and project": ("refused_unknown_key", 403),
    "the body is too large": ("refused_too_large", 413),
    "the content encoding is not known, or the body is not what it says": ("refused_encoding", 400),
    "too many requests": ("refused_max_rate", 429),
    "too many bodies are being read": ("refused_busy", 503),
    "the body did not come in time, or broke off": ("refused_unread", 400),
}
# What `side`, which has bounds that are met, may say at any time.
OF_SIDE = {"refused_max_rate", "refused_busy"}


@dataclasses.dataclass
class Item:
    id: str
    bytes: bytes


def hexadecimal(visitor: Visitor) -> str:
    return f"{visitor.random.getrandbits(128):032x}"


def compact(value: object) -> bytes:
    return json.dumps(value, separators=(",", ":")).encode()


def item(visitor: Visitor, kind: str, payload: object, quantity: int = 1, **more: object) -> Item:
    id = f"{hexadecimal(visitor)}/{quantity}"
    content = payload if isinstance(payload, bytes) else compact(payload)
    header = {"type": kind, "soak": id, "length": len(content)} | more
    return Item(id, compact(header) + b"\n" + content + b"\n")


def binary(visitor: Visitor) -> bytes:
    """Anything, ends of lines too."""
    return visitor.random.randbytes(visitor.random.choice((1, 300, 9000)))


def contents(visitor: Visitor, event_id: str) -> list[Item]:
    """What an envelope brings."""

    def of(kind: str, payload: object, quantity: int = 1, **more: object) -> Item:
        return item(visitor, kind, payload, quantity, **more)

    error = {"event_id": event_id, "level": "error", "message": f"new {event_id}", "extra": {"rest": "x" * visitor.random.randrange(3000)}}
    noise = {"event_id": event_id, "exception": {"values": [{"type": "Error", "value": "ResizeObserver loop limit exceeded"}]}}
    transaction = {"event_id": event_id, "type": "transaction", "transaction": "/cart"}
    return visitor.random.choice(
        (
            lambda: [of("event", error)],
            lambda: [of("event", error), of("attachment", binary(visitor), 0, filename="screen.png")],
            lambda: [of("event", error), of("session", {"sid": event_id}), of("client_report", {"discarded_events": []})],
            lambda: [of("event", noise)],
            lambda: [of("event", error | {"message": "ignored by a rule"})],
            lambda: [of("session", {"sid": event_id})],
            lambda: [of("sessions", {"aggregates": []}, 3, item_count=3)],
            lambda: [of("transaction", transaction), of("profile", {"transaction": "/cart"})],
            lambda: [of("profile", {"transaction": "/cart"})],
            lambda: [
                of("replay_event", {"replay_id": event_id}),
                of("replay_recording", b'{"segment_id":0}\n' + binary(visitor)),
                of("attachment", binary(visitor), 0, filename="more"),
            ],
            lambda: [of("brand_new", binary(visitor) + b"..", 2, item_count=2, of_no_kind=[None])],
            lambda: [of("log", {"items": [{}, {}]}, 2, item_count=2), of("span", {}), of("check_in", {"check_in_id": event_id})],
        )
    )()


def envelope(visitor: Visitor, items: Iterable[Item], event_id: str, **header: object) -> bytes:
    members = {"event_id": event_id, "sent_at": "2026-01-01T00:00:00.5Z", "sdk": {"name": "soak"}} | header
    return compact(members) + b"\n" + b"".join(item.bytes for item in items)


def tunnel(visitor: Visitor) -> str:
    return visitor.random.choice(("front", "front", "side"))


def post(visitor: Visitor, to: str, url: str, body: bytes, ids: Iterable[str], headers: dict[str, str] | None = None) -> str:
    """Reports that in one of the ways that a client may choose; what became of it."""
    # What is refused unread, without a length, ends its connection: only what is to be read comes so.
    is_chunked = bool(ids) and to == "front" and visitor.random.random() < 0.3
    headers = (headers or {}) | {"Tunnel": to}
    if "Content-Encoding" not in headers and visitor.random.random() < 0.4:
        headers["Content-Encoding"] = "gzip"
        body = gzip.compress(body, 1)
    pieces = [body[at : at + 4000] for at in range(0, len(body), 4000)] if is_chunked else body
    return note(visitor, to, visitor.ask("POST", url, headers, pieces), ids)


def note(visitor: Visitor, to: str, answer: Answer, ids: Iterable[str] = ()) -> str:
    """Notes what an answer says became of a report."""
    word, _, detail = answer.headers.get("result", "").partition(": ")
    counter, status = REFUSALS.get(detail, ("refused_malformed", 400)) if word == "refused" else (word, STATUSES.get(word, 0))
    answer.expect(status)
    visitor.book.report(to, counter, ids)
    return counter


def expect(to: str, counter: str, *expected: str) -> None:
    if counter not in expected and not (to == "side" and counter in OF_SIDE):
        raise Wrong(f"{counter} of {to}, not one of {expected}")


def where(visitor: Visitor, to: str, project: int) -> tuple[str, dict[str, str], dict[str, object]]:
    """A project's URL, headers and members of the envelope's header, one of which has its key."""
    url, headers, members = f"/api/{project}/envelope/", {}, {}
    match visitor.random.randrange(3):
        case 0:
            url += f"?sentry_key={KEY}&sentry_version=7"
        case 1:
            headers["X-Sentry-Auth"] = f"Sentry sentry_key={KEY}, sentry_version=7"
        case _:
            members["dsn"] = f"http://{KEY}@anywhere.example/{project}"
    return url, headers, members


@visit(14, group=VISITS)
def report(visitor: Visitor) -> None:
    to, event_id = tunnel(visitor), hexadecimal(visitor)
    project = visitor.random.choice(PROJECTS) if to == "front" else 1
    url, headers, members = where(visitor, to, project)
    items = contents(visitor, event_id)
    body = envelope(visitor, items, event_id, **members)
    expect(to, post(visitor, to, url, body, [item.id for item in items], headers), *STATUSES)


@visit(3, group=VISITS)
def flood_of_reports(visitor: Visitor) -> None:
    to = tunnel(visitor)
    for _ in range(8):
        event_id = hexadecimal(visitor)
        error = item(visitor, "event", {"event_id": event_id, "message": "always the same"})
        url = f"/api/1/envelope/?sentry_key={KEY}"
        expect(to, post(visitor, to, url, envelope(visitor, [error], event_id), [error.id]), "processed", "throttled", "limited")


@visit(2, group=VISITS)
def report_without_an_envelope(visitor: Visitor) -> None:
    """An event of an old SDK, or a browser's report of its own."""
    to, id = tunnel(visitor), f"{hexadecimal(visitor)}/1"
    event = compact({"event_id": hexadecimal(visitor), "message": f"old {id}", "soak": id})
    match visitor.random.randrange(3):
        case 0:
            counter = post(visitor, to, f"/api/1/store/?sentry_key={KEY}", event, [id])
        case 1:
            url = f"/api/1/store/?sentry_key={KEY}&sentry_data={urllib.parse.quote(event)}"
            counter = note(visitor, to, visitor.ask("GET", url, {"Tunnel": to}), [id])
        case _:
            violation = compact({"csp-report": {"document-uri": "http://shop.example/"}, "soak": id})
            counter = post(visitor, to, f"/api/1/security/?sentry_key={KEY}", violation, [id])
    expect(to, counter, *STATUSES)


@visit(4, group=VISITS)
def bad_report(visitor: Visitor) -> None:
    to, event_id = tunnel(visitor), hexadecimal(visitor)
    good = envelope(visitor, [item(visitor, "event", {"event_id": event_id})], event_id)
    with_key = f"/api/1/envelope/?sentry_key={KEY}"
    foreign = envelope(visitor, [item(visitor, "session", {})], event_id, dsn=f"http://{'f' * 32}@anywhere.example/1")
    url, body, headers, expected = visitor.random.choice(
        (
            (with_key, b"", {}, "refused_malformed"),
            (with_key, b"{", {}, "refused_malformed"),
            (with_key, good[: good.index(b"\n") + 20], {}, "refused_malformed"),
            (with_key, good[:-30], {}, "refused_malformed"),
            (with_key, b"[" * 30000, {}, "refused_malformed"),
            (with_key, good, {"Content-Encoding": "gzip"}, "refused_encoding"),
            (with_key, gzip.compress(good)[:-9], {"Content-Encoding": "gzip"}, "refused_encoding"),
            (with_key, good, {"Content-Encoding": "sdch"}, "refused_encoding"),
            (with_key, gzip.compress(bytes(TOO_LARGE)), {"Content-Encoding": "gzip"}, "refused_too_large"),
            ("/api/1/envelope/", good, {}, "refused_no_key"),
            (f"/api/9/envelope/?sentry_key={KEY}", good, {}, "refused_unknown_key"),
            (f"/api/1/envelope/?sentry_key={'f' * 32}", good, {}, "refused_unknown_key"),
            (with_key, foreign, {}, "refused_keys_differ"),
        )
    )
    expect(to, post(visitor, to, url, body, [], headers), expected)


@visit(1, group=VISITS)
def report_by_another_method(visitor: Visitor) -> None:
    answer = visitor.ask("GET", f"/api/1/envelope/?sentry_key={KEY}", {"Tunnel": "front"})
    expect("front", note(visitor, "front", answer), "refused_method")


@visit(1, protocol=1, group=VISITS)
def report_too_large(visitor: Visitor) -> None:
    """One that does not say so before it is read, and one that does."""
    url = f"/api/1/envelope/?sentry_key={KEY}"
    if visitor.random.random() < 0.5:
        answer = visitor.ask("POST", url, {"Tunnel": "front"}, [b"x" * 10_000] * (TOO_LARGE // 10_000))
    else:
        head = f"POST {url} HTTP/1.1\r\nHost: a\r\nTunnel: front\r\nContent-Length: {TOO_LARGE}\r\n\r\n"
        with visitor.raw(head.encode()) as connection:
            response = http.client.HTTPResponse(connection, method="POST")
            response.begin()
            headers = {name.lower(): value for name, value in response.getheaders()}
            answer = Answer(response.status, headers, response.read())
    expect("front", note(visitor, "front", answer), "refused_too_large")


# Whoever leaves is told nothing, so only `side` sees these.


@visit(2, protocol=1, group=VISITS)
def report_given_up(visitor: Visitor) -> None:
    head = f"POST /api/1/envelope/?sentry_key={KEY} HTTP/1.1\r\nHost: a\r\nTunnel: side\r\n"
    begin = b"Content-Length: 5000\r\n\r\n{}\n" if visitor.random.random() < 0.5 else b"Transfer-Encoding: chunked\r\n\r\n1000\r\n{}\n"
    with visitor.raw(head.encode() + begin) as connection:
        match visitor.random.randrange(3):
            case 0:
                reset(connection)
            case 1:
                # The tunnel waits for a second; where it does not even begin to read, the server does for longer.
                connection.settimeout(2)
                with contextlib.suppress(OSError):
                    connection.recv(1000)


@visit(1, protocol=2, group=VISITS)
def report_taken_back(visitor: Visitor) -> None:
    if not visitor.line_2().has_room(20000):
        visitor.hang_up()
    line = visitor.line_2()
    url = f"/api/1/envelope/?sentry_key={KEY}"
    stream = line.start("POST", url, {"Tunnel": "side", "content-length": "15000"}, b"{}\n", is_whole=False)
    if visitor.random.random() < 0.5:
        line.leave(stream)
    else:
        visitor.hang_up()
