# SPDX-License-Identifier: BSD-2-Clause
"""What a tunnel does in a flood, and with a Sentry that does not answer: how long clients wait, what becomes of each report, and what memory a full queue takes.

A/A is the upper quartile of what two windows with a Sentry that is well differ by.
"""

import json
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

from e2e import wait
from e2e.varnishd import Varnishd

from . import Figure
from .stall import compared
from .tools import Sink, rounds, run
from .tunnel import KEY, envelope

ROUNDS = 8
SECONDS, REPORTS_PER_SECOND = 2, 2000
FLOOD_SECONDS, FLOOD_PER_SECOND = 10, 10_000
QUEUE = 16 << 20

VCL = """
vcl 4.1;
import sentry;
backend none none;
sub vcl_init {{
    new t = sentry.tunnel("http://{key}@127.0.0.1:{port}/42", max_rate = 0, per_client = 0, throttle = {throttle});
    t.queue(events = 65536, bytes = {bytes}B);
}}
sub vcl_recv {{
    if (req.url == "/count") {{
        return (synth(700));
    }}
    if (req.url == "/flush") {{
        set req.http.Flushed = t.flush(60s);
        return (synth(700));
    }}
    return (synth(t.accept()));
}}
sub vcl_synth {{
    if (resp.status == 700) {{
        set resp.status = 200;
        set resp.body = t.count();
        return (deliver);
    }}
    set resp.body = t.response();
    return (deliver);
}}
"""


def figures() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        report, smallest = Path(folder, "report"), Path(folder, "smallest")
        report.write_bytes(envelope(f"http://{KEY}@sentry.example.com/42"))
        smallest.write_bytes(b'{}\n{"type":"event"}\n{}\n')
        return [stalled(report), flood(report), full("of 1.9 KB", report), full("of 22 bytes", smallest)]


def serve(stack: ExitStack, throttle: int) -> tuple[Sink, Varnishd]:
    sink = stack.enter_context(Sink())
    return sink, stack.enter_context(Varnishd(VCL.format(key=KEY, port=sink.port, throttle=throttle, bytes=QUEUE)))


def post(varnishd: Varnishd, file: Path, key: str = KEY, rate: int = REPORTS_PER_SECOND, seconds: float = SECONDS) -> list[float]:
    """Posts a file at a rate; how many were taken, how many not, and how long that took."""
    return run("bench-load", varnishd.port, f"/api/42/envelope/?sentry_key={key}", 16, rate, seconds, file)[0]


def stalled(file: Path) -> Figure:
    """Windows with a Sentry that is stalled between two with one that is well."""
    with ExitStack() as stack:
        sink, varnishd = serve(stack, throttle=0)

        def window(conduct: str) -> float:
            sink.tell(conduct)
            _, failed, _, p99, _ = post(varnishd, file)
            if failed:
                raise RuntimeError(f"{failed:.0f} reports failed")
            return p99

        window("answer")
        windows = [[window(conduct) for conduct in ("answer", "stall", "answer")] for _ in range(rounds(ROUNDS))]
        sink.tell("answer")
    return compared("stalled Sentry: 99th percentile of a report's answer, against one that is well", windows, "99th percentile of a report, µs")


def flood(file: Path) -> Figure:
    """Ten a second go on, and what is said of all of them adds up."""
    with ExitStack() as stack:
        sink, varnishd = serve(stack, throttle=10)
        begin = time.monotonic()
        taken, failed, *_ = post(varnishd, file, rate=FLOOD_PER_SECOND, seconds=FLOOD_SECONDS)
        # So many windows of a second have a part in it.
        windows = int(time.monotonic() - begin) + 2
        count = json.loads(varnishd.request("/flush").body)
        posts = sink.tell("stats")[0]
    delivery = count["projects"]["42"]["delivery"]
    parts = {
        "answered": (taken, count["accepted"]),
        "accepted": (count["accepted"], count["processed"] + count["ignored_by"]["throttle"]),
        "processed": (count["processed"], delivery["captured"]),
        "captured": (delivery["captured"], delivery["sent"] + delivery["dropped"] + delivery["waiting"] + delivery["spooled"]),
        "throttled": (count["ignored_by"]["throttle"], delivery["refused"]),
        "sent": (delivery["sent"], posts),
    }
    wrong = [f"{name} {one:.0f}, not {other:.0f}" for name, (one, other) in parts.items() if one != other]
    rate = count["processed"] / windows
    value = f"{rate:.1f} a second, {count['processed']} of {taken:.0f}; {', '.join(wrong) or 'all adds up'}"
    name = f"{FLOOD_PER_SECOND} equal errors a second for {FLOOD_SECONDS} s: sent on, and accepted = sent + dropped + waiting"
    data = {"equal errors sent on a second": rate}
    return Figure(name, value, "≤ 10 a second, exactly", not failed and not wrong and rate <= 10, data)


def resident(pid: int) -> int:
    """Bytes of memory that a process has by itself."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("Anonymous:"))


def full(name: str, file: Path) -> Figure:
    """What the child grows by while a queue of 16 MB fills up and overflows."""
    with ExitStack() as stack:
        sink, varnishd = serve(stack, throttle=0)
        sink.tell("stall")
        # What threads and connections take is there before: as many requests, all of which are refused.
        post(varnishd, file, key="no", rate=FLOOD_PER_SECOND)
        before = resident(varnishd.child())

        def overflows() -> bool:
            post(varnishd, file, rate=2 * FLOOD_PER_SECOND)
            return varnishd.counters()["SENTRY.t.dropped_queue_overflow"] > 0

        wait.until(overflows, "the queue is full", 300)
        grown = resident(varnishd.child()) - before
        sink.tell("answer")
    share = grown / QUEUE
    data = {f"memory of a full queue over its bound, reports {name}": share}
    return Figure(f"memory that a full queue takes, reports {name}, over its bound", f"{share:.2f}", "≤ 1.2", share <= 1.2, data)
