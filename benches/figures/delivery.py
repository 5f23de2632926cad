# SPDX-License-Identifier: BSD-2-Clause
"""What an event costs on its way to the server, and what becomes of more events than the server takes."""

import statistics
import time
from contextlib import ExitStack
from pathlib import Path

from e2e.varnishd import Varnishd

from . import Figure
from .sample import PARAMETERS, dsn
from .tools import Sink, rounds, run, spread, start

ROUNDS = 9
QUEUE_BYTES = 16 << 20
LIMIT, LIMITED_SECONDS = 2, 12

FLOOD = """vcl 4.1;
import sentry;
backend default none;
sub vcl_init {{ sentry.init("{dsn}", throttle = 0, max_rate = 0); sentry.queue(events = 65536, bytes = {bytes}B); }}
sub vcl_recv {{
    if (req.url == "/flood") {{
        {captures}
    }}
    return (synth(200));
}}
sub vcl_synth {{
    synthetic("");
    return (deliver);
}}
"""


def figures() -> list[Figure]:
    return cost() + flood() + limit()


def cost() -> list[Figure]:
    """Ours over two connections, the crate, and ureq alone, in turns, in one process; the sink is another one."""
    with Sink() as sink:
        found = run("bench-deliver", sink.port, rounds(ROUNDS))
    ours, our_rate, bare, _, crate, crate_rate, plain, _, small, large = (list(column) for column in zip(*found))
    ratio = [a / b for a, b in zip(ours, bare)]
    faster = [a / b for a, b in zip(our_rate, crate_rate)]
    return [
        Figure("CPU per delivered event over that of a bare ureq POST of the same bytes", spread(ratio, 2), "≤ 1.8", statistics.median(ratio) <= 1.8, {"ours over bare": ratio}),
        Figure("… ours: capture, JSON, scrubbing, gzip, POST, µs", spread(ours, 1), data={"ours, µs": ours}),
        Figure(
            f"… ureq alone, our {small[0]:.0f} bytes · the {large[0]:.0f} before compression, µs",
            f"{spread(bare, 1)} · {spread(plain, 1)}",
            data={"bare, µs": bare, "bare uncompressed, µs": plain, "bytes": small[0], "bytes before compression": large[0]},
        ),
        Figure("… the official crate, which neither scrubs nor compresses, µs", spread(crate, 1), data={"SDK, µs": crate}),
        Figure("delivered per second over what the official crate delivers", spread(faster, 2), "≥ 1.5", statistics.median(faster) >= 1.5, {"ours over SDK a second": faster}),
        Figure("… ours · the official crate", f"{spread(our_rate)} · {spread(crate_rate)}", data={"ours a second": our_rate, "SDK a second": crate_rate}),
    ]


def flood() -> list[Figure]:
    """10 000 distinct events a second against a server that takes at most 200."""
    captures = "\n        ".join(f'sentry.capture("event {n} of " + req.xid);' for n in range(10))
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        sink.tell("delay 5")
        vcl = FLOOD.format(dsn=dsn(sink.port), bytes=QUEUE_BYTES, captures=captures)
        varnishd = stack.enter_context(Varnishd(vcl, parameters=PARAMETERS))
        pid = varnishd.child()
        # What the server itself needs for this traffic it has before the flood.
        run("bench-load", varnishd.port, "/quiet", 16, 1000, 2)
        before = most = resident(pid)
        load = start("bench-load", varnishd.port, "/flood", 16, 1000, 10)
        while load.poll() is None:
            most = max(most, resident(pid))
            time.sleep(0.1)
        offered = int(load.communicate()[0].split()[0]) * 10
        sink.tell("stall")
        counters = {name.removeprefix("SENTRY.default."): n for name, n in varnishd.counters().items()}
    dropped = sum(n for name, n in counters.items() if name.startswith("dropped_"))
    missing = offered - counters["sent"] - dropped - counters["queue_events"] - counters["sending"]
    grown = (most - before) / 2**20
    bound = QUEUE_BYTES / 2**20 + 4
    return [
        Figure("10 000 events/s for 10 s, server answers in 5 ms: neither delivered nor counted", f"{missing} of {offered}", "0", missing == 0, {"offered": offered, "missing": missing}),
        Figure(
            "… delivered · dropped and counted · in the queue · on their way",
            f"{counters['sent']} · {dropped} · {counters['queue_events']} · {counters['sending']}",
            data={"delivered": counters["sent"], "dropped": dropped, "in the queue": counters["queue_events"], "on their way": counters["sending"]},
        ),
        Figure(f"… growth of the child's memory, queue_bytes = {QUEUE_BYTES >> 20} MiB, MiB", f"{grown:.1f}", f"≤ {bound:.0f}", grown <= bound, {"growth, MiB": grown}),
    ]


def resident(pid: int) -> int:
    """The process's own memory in bytes."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("RssAnon")) * 1024


def limit() -> list[Figure]:
    """20 captures a second, and a server that wants none of them."""
    with Sink() as ours, Sink() as theirs:
        programs = []
        for sink, who in ((ours, "limited-ours"), (theirs, "limited-sdk")):
            sink.tell(f"limit {LIMIT}")
            programs.append(start("bench-deliver", sink.port, who, LIMITED_SECONDS))
        captured = [int(program.communicate()[0]) for program in programs]
        requests = [sink.tell("stats")[0] for sink in (ours, theirs)]
        times = ours.tell("times")
    most = LIMITED_SECONDS // LIMIT + 1
    gap = min(later - earlier for earlier, later in zip(times, times[1:])) / 1000
    return [
        Figure(
            f"server answers 429, no errors for {LIMIT} s: requests in {LIMITED_SECONDS} s for {captured[0]} captures · shortest pause, s",
            f"{requests[0]} · {gap:.2f}",
            f"≤ {most} · ≥ {LIMIT}",
            requests[0] <= most and gap >= LIMIT,
            {"requests": requests[0], "captured": captured[0], "shortest pause, s": gap},
        ),
        Figure(f"… the official crate, for {captured[1]}", str(requests[1]), data={"SDK's requests": requests[1], "captured by the SDK": captured[1]}),
    ]
