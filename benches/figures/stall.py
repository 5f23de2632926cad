# SPDX-License-Identifier: BSD-2-Clause
"""A server that takes connections and requests and never answers, and what the cache's clients notice.

A/A is the upper quartile of what two windows without captures differ by.
"""

import statistics
import time
from contextlib import ExitStack

from e2e.varnishd import Varnishd

from . import Figure
from .sample import MESSAGE, dsn, loop
from .tools import Client, Sink, rounds, run, start, threads_cpu

ROUNDS = 8
SECONDS, HITS_PER_SECOND = 3, 3000
# Each of these makes 100 captures.
BURSTS_PER_SECOND = 34

VCL = """vcl 4.1;
import sentry;
backend origin {{ .host = "127.0.0.1"; .port = "{origin}"; }}
sub vcl_init {{ sentry.init("{dsn}", throttle = 0, max_rate = 0); }}
{captures}
sub vcl_recv {{
    if (req.url == "/hit") {{ return (hash); }}
    if (req.url == "/capture") {{ call capture_100; }}
    if (req.url == "/flush") {{ set req.http.Flushed = sentry.flush(2s); }}
    return (synth(200));
}}
sub vcl_backend_response {{ set beresp.ttl = 1d; }}
sub vcl_synth {{
    synthetic(req.http.Flushed);
    return (deliver);
}}
"""


class Window:
    """Hits for a while, and requests of `beside` meanwhile: CPU of the child in ns, and the 99th percentile
    of the hits' times in µs. Without hits, what the others cost by themselves."""

    def __init__(self, varnishd: Varnishd, pid: int, beside: str, with_hits: bool = True):
        before = threads_cpu(pid)
        bursts = start("bench-load", varnishd.port, beside, 1, BURSTS_PER_SECOND, SECONDS)
        if with_hits:
            [[self.hits, failed, _, self.p99, _]] = run("bench-load", varnishd.port, "/hit", 16, HITS_PER_SECOND, SECONDS)
            if failed:
                raise RuntimeError(f"{failed:.0f} hits failed")
        made, failed = map(int, bursts.communicate()[0].split()[:2])
        self.cpu = threads_cpu(pid) - before
        if failed or made < 100:
            raise RuntimeError(f"{failed} of {made} requests of {beside} failed")


def figures() -> list[Figure]:
    with ExitStack() as stack:
        origin, sink = stack.enter_context(Sink()), stack.enter_context(Sink())
        sink.tell("stall")
        captures = loop("capture", f'sentry.capture("{MESSAGE}"); ', most=100)
        varnishd = stack.enter_context(Varnishd(VCL.format(origin=origin.port, dsn=dsn(sink.port), captures=captures)))
        found = traffic(varnishd)
        begin = time.monotonic()
        Client(varnishd.port).ask(target="/flush")
        flush = time.monotonic() - begin
        begin = time.monotonic()
        varnishd.adm("stop")
        stop = time.monotonic() - begin
    return [
        *found,
        Figure("… `flush(2s)`, s", f"{flush:.2f}", "≤ 2.2", flush <= 2.2, {"flush, s": flush}),
        Figure("… `varnishadm stop` with a full queue, shutdown_timeout = 2 s, s", f"{stop:.2f}", "≤ 2.5", stop <= 2.5, {"stop, s": stop}),
    ]


def traffic(varnishd: Varnishd) -> list[Figure]:
    """Windows with captures between two without; what the latter two differ by is the measure."""
    pid = varnishd.child()
    Window(varnishd, pid, "/capture")
    windows = [[Window(varnishd, pid, beside) for beside in ("/none", "/capture", "/none")] for _ in range(rounds(ROUNDS))]
    # The requests beside the hits, and their captures, are not to be blamed on the hits.
    none, captures = (Window(varnishd, pid, beside, with_hits=False).cpu for beside in ("/none", "/capture"))
    percentiles = [[window.p99 for window in three] for three in windows]
    shares = [[(w.cpu - other) / w.hits / 1000 for w, other in zip(three, (none, captures, none))] for three in windows]
    name = "stalled server, 10 000 captures while traffic runs: 99th percentile of hits, against none"
    return [compared(name, percentiles, "99th percentile, µs"), compared("… CPU per hit", shares, "CPU per hit, µs")]


def compared(name: str, windows: list[list[float]], what: str) -> Figure:
    worse = statistics.median(100 * (2 * b / (a + c) - 1) for a, b, c in windows)
    noise = statistics.quantiles((100 * abs(c / a - 1) for a, _, c in windows), n=4)[2]
    before, meanwhile, after = (list(column) for column in zip(*windows))
    data = {f"{what}, before": before, f"{what}, stalled": meanwhile, f"{what}, after": after}
    return Figure(name, f"{worse:+.1f} % of {statistics.median(before):.0f} µs", f"≤ A/A: {noise:.1f} %", worse <= noise, data)
