# SPDX-License-Identifier: BSD-2-Clause
"""What a call costs the request, in a real varnishd.

The CPU time of the worker threads for requests that make many calls, less that of the same requests
without, by the number of calls. Four servers and the official crate take turns, round after round.
"""

import statistics
from contextlib import ExitStack

from e2e import wait
from e2e.varnishd import Varnishd

from . import Figure
from .sample import PARAMETERS, dsn, freely, vcl
from .tools import Client, Sink, rounds, run, spread, threads_cpu

ROUNDS = 25
REQUESTS = 25
# With a hundred captures each, they fill most of a queue of the default size, and no more.
CAPTURING = 8


class Server:
    """A varnishd whose default client has these settings."""

    def __init__(self, stack: ExitStack, settings: str):
        self.varnishd = stack.enter_context(Varnishd(vcl(settings), parameters=PARAMETERS))
        self.pid = self.varnishd.child()
        self.client = Client(self.varnishd.port)
        self.client.ask("MANY", 2)

    def cpu(self, method: str, requests: int = REQUESTS) -> float:
        """CPU time in ns of the workers per request."""
        before = threads_cpu(self.pid, "cache-worker")
        self.client.ask(method, requests)
        return (threads_cpu(self.pid, "cache-worker") - before) / requests

    def per_call(self, method: str, calls: int, beside: str) -> float:
        """CPU time in ns of a call, beside as many of another function in a request."""
        other = self.cpu(beside)
        return (self.cpu(method) - other) / calls

    def per_capture(self) -> float:
        """CPU time in ns of a capture, beside a request that makes none."""
        other = self.cpu("GET")
        return (self.cpu("CAPTURE", CAPTURING) - other) / 100

    def drain(self, sink: Sink) -> float:
        """Lets the sink answer until the queue is empty; CPU time in ns of the sender per event."""
        before, events = threads_cpu(self.pid, "vmod-sentry"), self.queued()
        sink.tell("answer")
        wait.until(lambda: self.queued() == 0, "the queue is empty")
        return (threads_cpu(self.pid, "vmod-sentry") - before) / max(events, 1)

    def queued(self) -> int:
        return self.varnishd.counters()["SENTRY.default.queue_events"]


def figures() -> list[Figure]:
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        free = Server(stack, freely(sink.port))
        stalled = stack.enter_context(Sink())
        stalled.tell("stall")
        init = f'sentry.init("{dsn(stalled.port)}", throttle = 0, max_rate = 0);'
        full = Server(stack, f"{init} sentry.server(timeout = 300s, shutdown_timeout = 0s);")
        init = f'sentry.init("{dsn(stalled.port)}", throttle = 1, window = 86400s);'
        throttled = Server(stack, f"{init} sentry.server(shutdown_timeout = 0s);")
        off = Server(stack, "")
        captured, evicting, sender, crate, in_scope, core, ratio, whole, refused, nothing = ([] for _ in range(10))
        free.drain(sink)
        for _ in range(rounds(ROUNDS)):
            sink.tell("stall")
            captured.append(free.per_capture())
            sender.append(free.drain(sink))
            [[ours, allocations, theirs, their_allocations, scoped, scoped_allocations]] = run("bench-capture", 1)
            evicting.append(full.per_capture())
            refused.append(throttled.per_call("MANY", 1000, "EMPTY"))
            nothing.append(off.per_call("MANY", 1000, "EMPTY"))
            core.append(ours)
            crate.append(theirs)
            in_scope.append(scoped)
            ratio.append(theirs / ours)
            whole.append(theirs / captured[-1])
    half = statistics.median(captured)
    return [
        Figure("capture, 20 headers, 6 tags, in varnishd: CPU of the request's thread, ns", spread(captured), "≤ 1600", half <= 1600, {"capture, ns": captured}),
        Figure("… copy and enqueue alone, without varnishd around it, ns; heap allocations", f"{spread(core)}; {allocations:.0f}", "≤ 2 allocations", allocations <= 2, {"copy and enqueue, ns": core, "its allocations": allocations}),
        Figure("… the official crate's `capture_event` of the same data, null transport, ns; heap allocations", f"{spread(crate)}; {their_allocations:.0f}", data={"SDK, ns": crate, "SDK's allocations": their_allocations}),
        Figure("… its way by scope and event processor, as its integrations go, ns; heap allocations", f"{spread(in_scope)}; {scoped_allocations:.0f}", data={"SDK by scope, ns": in_scope, "its allocations by scope": scoped_allocations}),
        Figure("… its `capture_event` over our copy and enqueue", spread(ratio, 1), "≥ 6", statistics.median(ratio) >= 6, {"SDK over copy and enqueue": ratio}),
        Figure("… over all that a call from VCL does, the walk through request and task included", spread(whole, 1), data={"SDK over capture": whole}),
        Figure("… in varnishd, into a full queue, ns", spread(evicting), "≤ 2000", statistics.median(evicting) <= 2000, {"full queue, ns": evicting}),
        Figure("throttled capture, net of an empty VMOD call, ns", spread(refused), "≤ 150", statistics.median(refused) <= 150, {"throttled, ns": refused}),
        Figure("capture with no DSN, net of an empty VMOD call, ns", spread(nothing), "≤ 30", statistics.median(nothing) <= 30, {"no DSN, ns": nothing}),
        Figure("the sender's thread per event: JSON, scrubbing, gzip, POST, µs", spread((t / 1000 for t in sender), 1), data={"sender, ns": sender}),
    ]
