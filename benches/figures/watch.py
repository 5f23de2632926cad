# SPDX-License-Identifier: BSD-2-Clause
"""What watching costs a cache hit: ten rules, of which none matches, over a log of sixty records. And what
a capture costs that takes the task's log along."""

import statistics
import subprocess
from contextlib import ExitStack

from e2e.varnishd import Varnishd

from . import Figure
from .profile import Profile
from .sample import PARAMETERS, dsn, freely, vcl
from .tools import Client, Sink, rounds, spread, threads_cpu

ROUNDS = 41
REQUESTS = 2000

RULES = [("VCL_Log", rf"^\[{word}\]") for word in ("WTF", "ALERT", "SECURITY", "TODO")]
RULES += [("VCL_Log", "(?i)cannot|failed"), ("VCL_Log", "took [0-9]{4,} ms")]
RULES += [("FetchError", "timeout"), ("FetchError", "refused"), ("RespStatus", "^5"), ("RespStatus", "^4[0-9]1$")]

# The headers of the sample and what a hit logs make about fifty records; std.log() makes it sixty.
VCL = """vcl 4.1;
import sentry;
import std;
backend origin {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_init {{
    sentry.init("{dsn}");
    {rules}
}}
sub vcl_recv {{
    if (req.method == "WATCH") {{ sentry.watch(); }}
    return (hash);
}}
sub vcl_backend_response {{ set beresp.ttl = 1d; }}
sub vcl_deliver {{ {log} }}
"""


def text(sink: Sink) -> str:
    rules = "\n    ".join(f'sentry.rule("{tag}", "{expression}");' for tag, expression in RULES)
    log = " ".join(f'std.log("cart {number} of tenant shop has 3 items");' for number in range(8))
    return VCL.format(port=sink.port, dsn=dsn(sink.port), rules=rules, log=log)


def records(varnishd: Varnishd) -> int:
    """How long the log of the last hit is, Begin to End."""
    command = ["varnishlog", "-n", str(varnishd.folder / "work"), "-d", "-g", "vxid", "-q", "ReqMethod eq WATCH"]
    log = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    return log.split("<< Request  >>")[-1].count("\n-   ")


def figures() -> list[Figure]:
    watched = []
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        varnishd = stack.enter_context(Varnishd(text(sink), parameters=PARAMETERS))
        client, pid = Client(varnishd.port), varnishd.child()

        def cpu(method: str) -> float:
            before = threads_cpu(pid, "cache-worker")
            client.ask(method, REQUESTS)
            return (threads_cpu(pid, "cache-worker") - before) / REQUESTS

        cpu("OTHER"), cpu("WATCH")
        for _ in range(rounds(ROUNDS)):
            watched.append(cpu("WATCH") - cpu("OTHER"))
        logged = records(varnishd)
        profile = Profile(text(sink), "WATCH", 1000)
        sink.tell("stall")
        forms = [f"{freely(sink.port)} sentry.task_log({form});" for form in ("none", "breadcrumbs")]
        without, along = (Profile(vcl(init), "CAPTURE", 10).per_call("vmod_capture") for init in forms)
    half = statistics.median(watched)
    instructions = profile.per_call("vmod_watch") + profile.per_call("task_fini")
    return [
        Figure(f"watch(), cache hit, {logged} records, ten rules, no match: CPU of the request's thread, ns", spread(watched), "≤ 3000", half <= 3000, {"watch, ns": watched, "records": logged}),
        Figure("… instructions", f"{instructions:.0f}", data={"watch, instructions": instructions}),
        Figure("capture with the task's log over one without, in instructions", f"{along / without:.2f} ({along:.0f} over {without:.0f})", "≤ 2", along <= 2 * without, {"capture, instructions": without, "with the log, instructions": along}),
    ]
