# SPDX-License-Identifier: BSD-2-Clause
"""The ways in which a misbehaving receiver treats a request.

Each is a function of an exchange; its name is the way's. `WAYS` has those that one may meet at any time, `LASTING`
those after which a client has to leave the server alone for a minute.
"""

import email.utils
import threading
import time
from collections.abc import Callable

from .misbehaving import Exchange, Outcome, Way

WAYS: list[Way] = []
LASTING: list[Way] = []

STATUSES = {200: "OK", 302: "Found", 429: "Too Many Requests", 503: "Service Unavailable"}


def way(fails: bool = False, group: list[Way] = WAYS) -> Callable[[Callable[[Exchange], bool]], Way]:
    """Adds a function to the group."""

    def add(act: Callable[[Exchange], bool]) -> Way:
        group.append(Way(act.__name__, act, fails))
        return group[-1]

    return add


def outcome_of(status: int) -> Outcome:
    if status == 429:
        return Outcome.LIMITED
    if status >= 500:
        return Outcome.FAILED
    return Outcome.TAKEN if status < 300 else Outcome.REFUSED


def head(status: int, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} {STATUSES.get(status, 'Whatever')}", *headers, "", ""]
    return "\r\n".join(lines).encode()


def answer(exchange: Exchange, status: int, *headers: str, body: bytes = b"{}") -> bool:
    """A well-formed answer, on a connection that goes on."""
    exchange.say(head(status, f"Content-Length: {len(body)}", *headers) + body)
    exchange.means(outcome_of(status))
    return True


def broken(exchange: Exchange, data: bytes, outcome: Outcome) -> bool:
    """Reads the request, says that and closes."""
    exchange.read()
    exchange.say(data)
    exchange.means(outcome)
    return False


# Taken.


@way()
def good(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 200)


@way()
def without_content(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(204))
    exchange.means(Outcome.TAKEN)
    return True


@way()
def connection_close(exchange: Exchange) -> bool:
    exchange.read()
    answer(exchange, 200, "Connection: close")
    return False


@way()
def close_of_a_kept_connection(exchange: Exchange) -> bool:
    exchange.read()
    answer(exchange, 200)
    return False


@way()
def http_1_0(exchange: Exchange) -> bool:
    return broken(exchange, b"HTTP/1.0 200 OK\r\n\r\n{}", Outcome.TAKEN)


@way()
def chunks(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200, "Transfer-Encoding: chunked") + b"1\r\n{\r\n1;x=y\r\n}\r\n0\r\n\r\n")
    exchange.means(Outcome.TAKEN)
    return True


@way()
def trailers(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200, "Transfer-Encoding: chunked", "Trailer: X-A") + b"2\r\n{}\r\n0\r\nX-A: b\r\n\r\n")
    exchange.means(Outcome.TAKEN)
    return True


@way()
def trickle(exchange: Exchange) -> bool:
    exchange.read()
    for byte in head(200, "Content-Length: 2") + b"{}":
        exchange.say(bytes([byte]))
        time.sleep(0.01)
    exchange.means(Outcome.TAKEN)
    return True


@way()
def interim_answers(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(100) + head(103, "Link: </a>; rel=preload") + head(102))
    return answer(exchange, 200)


@way()
def answer_before_the_body_is_read(exchange: Exchange) -> bool:
    exchange.say(head(200, "Content-Length: 2") + b"{}")
    exchange.read()
    exchange.means(Outcome.TAKEN)
    return True


@way()
def huge_body(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200, "Content-Length: 8000000"))
    exchange.means(Outcome.TAKEN)
    exchange.say(bytes(8_000_000))
    return True


@way()
def endless_body(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200))
    exchange.means(Outcome.TAKEN)
    return exchange.repeat(bytes(65536))


@way()
def endless_trailers(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200, "Transfer-Encoding: chunked") + b"2\r\n{}\r\n0\r\n")
    exchange.means(Outcome.TAKEN)
    return exchange.repeat(b"X-A: b\r\n" * 100)


@way()
def body_cut_short(exchange: Exchange) -> bool:
    return broken(exchange, head(200, "Content-Length: 100") + b"{", Outcome.TAKEN)


@way()
def broken_chunk(exchange: Exchange) -> bool:
    return broken(exchange, head(200, "Transfer-Encoding: chunked") + b"zz\r\n{}\r\n", Outcome.TAKEN)


@way()
def body_that_stalls(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200, "Content-Length: 100") + b"{")
    exchange.means(Outcome.TAKEN)
    return exchange.hold()


@way()
def taken_with_a_limit(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 200, "X-Sentry-Rate-Limits: 1:error:key")


# Limited.


@way()
def limit_in_seconds(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 429, "Retry-After: 1")


@way()
def limit_by_date(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 429, f"Retry-After: {email.utils.formatdate(time.time() + 2, usegmt=True)}")


@way()
def limit_by_category(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 429, "X-Sentry-Rate-Limits: 1:error;security:organization, 5:transaction:key")


@way()
def limit_of_all(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 429, "X-Sentry-Rate-Limits: 1::organization:quota", "Retry-After: 60")


@way()
def limit_of_others(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 429, "X-Sentry-Rate-Limits: 1:attachment:key, 60:transaction:key")


@way(group=LASTING)
def limit_without_a_time(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 429)


@way(group=LASTING)
def limit_with_a_time_that_is_none(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 429, "Retry-After: soon")


# Refused.


@way()
def bad_request(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 400, "X-Sentry-Error: invalid event", body=b'{"detail": "no"}')


@way()
def forbidden(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 403, body=b"<html>" + b"no " * 5000)


@way()
def too_large_before_the_body_is_read(exchange: Exchange) -> bool:
    exchange.say(head(413, "Content-Length: 0", "Connection: close"))
    exchange.read()
    exchange.means(Outcome.REFUSED)
    return False


@way()
def redirect(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 302, f"Location: {exchange.receiver.dsn(99)}")


@way()
def redirect_with_the_method(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 308, "Location: /api/99/envelope/")


# Failed.


@way(fails=True)
def status_500(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 500, body=b"")


@way(fails=True)
def status_502(exchange: Exchange) -> bool:
    exchange.read()
    answer(exchange, 502, "Connection: close", "Content-Type: text/html", body=b"<html>" * 1000)
    return False


@way(fails=True)
def status_503(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 503, "Retry-After: 1")


@way(fails=True)
def status_504(exchange: Exchange) -> bool:
    exchange.read()
    return answer(exchange, 504)


# Not answered.


@way(fails=True)
def reset_before_it_is_read(exchange: Exchange) -> bool:
    return exchange.reset()


@way(fails=True)
def reset_after_it_was_read(exchange: Exchange) -> bool:
    exchange.read()
    return exchange.reset()


@way(fails=True)
def close_before_it_is_read(exchange: Exchange) -> bool:
    exchange.receiver.close_next = 1
    return False


@way(fails=True)
def close_without_an_answer(exchange: Exchange) -> bool:
    exchange.read()
    return False


@way(fails=True)
def refusal(exchange: Exchange) -> bool:
    exchange.receiver.refuse()
    # How long a server takes that starts again.
    threading.Timer(1, exchange.receiver.listen).start()
    return exchange.reset()


@way(fails=True)
def stall_before_it_is_read(exchange: Exchange) -> bool:
    return exchange.hold()


@way(fails=True)
def stall(exchange: Exchange) -> bool:
    exchange.read()
    return exchange.hold()


@way(fails=True)
def endless_interim_answers(exchange: Exchange) -> bool:
    exchange.read()
    return exchange.repeat(head(103, "Link: </a>; rel=preload") * 100)


@way(fails=True)
def garbage(exchange: Exchange) -> bool:
    return broken(exchange, bytes(range(256)) * 4, Outcome.UNANSWERED)


@way(fails=True)
def another_protocol(exchange: Exchange) -> bool:
    return broken(exchange, b"SSH-2.0-OpenSSH_9.2\r\n", Outcome.UNANSWERED)


@way(fails=True)
def status_line_cut_short(exchange: Exchange) -> bool:
    return broken(exchange, b"HTTP/1.1 2", Outcome.UNANSWERED)


# A status is known, the rest of the head is none.


@way(fails=True)
def head_cut_short(exchange: Exchange) -> bool:
    return broken(exchange, head(200, "Content-Length: 2", "X-A: b")[:-9], Outcome.UNSURE)


@way(fails=True)
def head_that_stalls(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200)[:-2])
    exchange.means(Outcome.UNSURE)
    return exchange.hold()


@way(fails=True)
def huge_head(exchange: Exchange) -> bool:
    return broken(exchange, head(200, "Content-Length: 2", f"X-A: {'a' * 200_000}") + b"{}", Outcome.UNSURE)


@way(fails=True)
def endless_head(exchange: Exchange) -> bool:
    exchange.read()
    exchange.say(head(200)[:-2])
    exchange.means(Outcome.UNSURE)
    return exchange.repeat(b"X-A: b\r\n" * 100)


@way(fails=True)
def length_that_is_none(exchange: Exchange) -> bool:
    return broken(exchange, head(200, "Content-Length: -2", "Content-Length: two") + b"{}", Outcome.UNSURE)
