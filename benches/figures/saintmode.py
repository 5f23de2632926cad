# SPDX-License-Identifier: BSD-2-Clause
"""What a denylist costs, beside the C module of varnish-modules and beside no saintmode at all.

A varnishd for each module, whose entries become more and more, and two without one, to see how much two that are the same
differ. The entries are made by fetches, as in life; all that is compared takes turns.
"""

import re
import statistics
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from e2e import wait
from e2e.varnishd import Varnishd, server_modules

from . import Figure, tools
from .sample import PARAMETERS, loop
from .tools import Client, Sink, rounds, run, spread, threads_cpu

ENTRIES = 100_000
WARM = 20_000
# How many entries there are while calls are measured.
STEPS = (0, 1, 10, 100, 1000, 10_000, ENTRIES)
ROUNDS = 15
CALL_ROUNDS, CALL_REQUESTS = 41, 20
RUSH_ROUNDS = 9
PASSES, HITS = 200, 1000
CONNECTIONS = 8

# No threshold that is ever reached: what is asked for is never on the list, so that each answer takes the whole way.
OBJECTS = """new sm = saintmode.saintmode(origin, 100000000);
    new brief = saintmode.saintmode(other, 100000000);"""
VCL = """vcl 4.1;
import std;
{module}
backend origin {{ .host = "127.0.0.1"; .port = "{port}"; }}
backend other {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_init {{ {objects} }}
{checks}
{empty}
{standard}
sub vcl_recv {{
    # Elsewhere this call is an error, which is logged.
    if (req.method == "EMPTY") {{ call empty_1000; }}
    if (req.method == "EMPTY10") {{ call empty_10; }}
    if (req.url ~ "^/hit") {{ return (hash); }}
    if (req.url ~ "^/(fill|brief|sweep|pass)/") {{ return (pass); }}
    return (synth(200));
}}
sub vcl_hit {{ {check} }}
sub vcl_synth {{
    if (req.method == "CHECK") {{ call check_1000; }}
    if (req.method == "CHECK10") {{ call check_10; }}
    if (req.method == "STANDARD") {{ call standard_1000; }}
    if (req.url ~ "^/check/") {{ call check_10000; }}
    if (req.url ~ "^/slow/") {{ call check_1000; }}
    if (req.url ~ "^/standard/") {{ call standard_10000; }}
    {count}
    synthetic("");
    return (deliver);
}}
sub vcl_backend_fetch {{
    set bereq.backend = {backend};
    if (bereq.url ~ "^/fill/") {{ set bereq.backend = origin; }}
    if (bereq.url ~ "^/brief/") {{ set bereq.backend = other; }}
    {sweep}
}}
sub vcl_backend_response {{
    set beresp.ttl = 1d;
    {deny}
}}
"""
# The old names: the C module of Debian 12 knows no others.
SAINTMODE = {
    "objects": OBJECTS,
    "backend": "sm.backend()",
    "count": 'set resp.http.Count = sm.blacklist_count() + " " + brief.blacklist_count();',
    "sweep": 'if (bereq.url ~ "^/sweep/") { set bereq.backend = brief.backend(); }',
    "deny": """if (bereq.url ~ "^/(fill|sweep)/") { saintmode.blacklist(1d); }
    if (bereq.url ~ "^/brief/") { saintmode.blacklist(std.duration(regsub(bereq.url, "^/brief/([0-9]+)/.*", "\\1s"), 1s)); }""",
}
NOTHING = {"objects": "", "backend": "origin", "count": "", "sweep": "", "deny": ""}
STANDARD = 'if (!std.healthy(origin)) { set req.http.X-Sick = "1"; } '
OURS, C, NONE = "import saintmode;", f'import saintmode from "{server_modules()}/libvmod_saintmode.so";', ""


class Server:
    """A varnishd with one of the modules, or with none."""

    def __init__(self, stack: ExitStack, sink: Sink, module: str):
        check = 'if (!sm.is_healthy()) { set req.http.X-Sick = "1"; } ' if module else STANDARD
        subs = {"checks": loop("check", check, 10_000), "empty": loop("empty", "std.late_100_continue(false); ")}
        subs["standard"] = loop("standard", STANDARD, 10_000)
        parts = (SAINTMODE if module else NOTHING) | subs
        text = VCL.format(module=module, port=sink.port, check=check, **parts)
        self.varnishd = stack.enter_context(Varnishd(text, parameters=PARAMETERS))
        self.pid = self.varnishd.child()
        self.client = Client(self.varnishd.port)
        self.has_entries = bool(module)
        self.filled = 0

    def cpu(self, method: str, times: int, target: str = "/", threads: str = "cache-worker") -> float:
        """CPU time in ns per request, of the workers or of all threads."""
        before = threads_cpu(self.pid, threads)
        self.client.ask(method, times, target)
        return (threads_cpu(self.pid, threads) - before) / times

    def per_call(self, calls: int, requests: int = CALL_REQUESTS, method: str = "CHECK") -> tuple[float, float]:
        """CPU time in ns of a call of is_healthy(), by itself and beside an empty call."""
        few = "10" if calls == 10 else ""
        bare, empty, full = (self.cpu(name, requests) for name in ("GET", f"EMPTY{few}", f"{method}{few}"))
        return (full - bare) / calls, (full - empty) / calls

    def rush(self, path: str, connections: int, requests: int) -> float:
        """Seconds for so many requests, as fast as they are answered."""
        [[_, refused, seconds]] = run("bench-rush", self.varnishd.port, path, connections, requests)
        if refused:
            raise RuntimeError(f"{refused:.0f} requests for {path} were refused")
        return seconds

    def fill(self, path: str, entries: int) -> None:
        """Makes entries; without saintmode, the fetches alone."""
        before = self.count()
        self.rush(f"{path}{{}}", 4, entries)
        if self.has_entries and self.count() != before + entries:
            raise RuntimeError(f"{before} entries, {entries} more by {path}, and there are {self.count()}")

    def count(self) -> int:
        """Entries, of both objects."""
        return sum(int(count) for count in self.varnishd.request("/").headers.get("Count", "").split())

    def memory(self) -> int:
        """Bytes of the process that are not shared."""
        status = Path(f"/proc/{self.pid}/status").read_text()
        return int(re.search(r"RssAnon:\s+(\d+)", status).group(1)) * 1024

    def fill_up(self, entries: int) -> None:
        """Makes as many as it takes for there to be so many; without saintmode, as many fetches."""
        if entries > self.filled:
            self.fill(f"/fill/{entries}/", entries - self.filled)
            self.filled = entries

    def grow(self) -> None:
        """Has `ENTRIES` in the end; finds bytes per entry, and how long so many take. The first fetches take memory of their own."""
        self.fill_up(WARM)
        before, begin = self.memory(), time.monotonic()
        self.fill_up(ENTRIES)
        self.bytes_per_entry = (self.memory() - before) / (ENTRIES - WARM)
        self.filled_in = (time.monotonic() - begin) * ENTRIES / (ENTRIES - WARM)

    def swept(self) -> float:
        """What the first request costs that finds `ENTRIES` entries over, in ns, above one that finds them live."""
        seconds = int(2 * self.filled_in) + 5
        self.fill(f"/brief/{seconds}/", ENTRIES)
        end = time.monotonic() + seconds + 1
        usual = statistics.median(self.cpu("GET", 1, f"/sweep/before/{number}") for number in range(30))
        wait.until(lambda: time.monotonic() > end, "the entries are over", 600)
        # Workers that have slept so long are slow for a while.
        self.client.ask("GET", 50, "/pass/a")
        return self.cpu("GET", 1, "/sweep/first") - usual


def alternating(times: int, **measures: Callable[[], float]) -> dict[str, list[float]]:
    """The measures in turns, every second round the other way round: nobody always follows the same one."""
    found: dict[str, list[float]] = {name: [] for name in measures}
    for number in range(times):
        for name in list(measures)[:: 1 if number % 2 else -1]:
            found[name].append(measures[name]())
    return found


def ratios(these: list[float], those: list[float]) -> list[float]:
    return [a / b for a, b in zip(these, those)]


def figures() -> list[Figure]:
    with ExitStack() as stack:
        sink = stack.enter_context(Sink())
        ours, theirs = Server(stack, sink, OURS), Server(stack, sink, C)
        measured, found = {}, []
        for entries in STEPS:
            for server in (ours, theirs):
                server.grow() if entries == ENTRIES else server.fill_up(entries)
            measured[entries] = Calls(ours, theirs, entries)
            if entries == 0:
                standard = [ours.per_call(1000, method="STANDARD")[1] for _ in range(rounds(CALL_ROUNDS))]
            if entries == 1000:
                found += gain(ours, theirs)
        found = calls(measured, standard) + found
        if tools.is_quick:
            return found
        plain, twin = (Server(stack, sink, NONE) for _ in range(2))
        plain.grow()
        bytes_ours, bytes_theirs = (server.bytes_per_entry - plain.bytes_per_entry for server in (ours, theirs))
        found += traffic(plain, twin, ours, theirs)
        sweep_ours, sweep_theirs = ours.swept(), theirs.swept()
    [[sweep]] = run("bench-sweep", ENTRIES, 9)
    return found + [
        Figure(
            "memory per entry at 100 000, above what its fetch takes, bytes; C",
            f"{bytes_ours:.1f}; {bytes_theirs:.1f}",
            "≤ 80",
            bytes_ours <= 80,
            {"bytes per entry": bytes_ours, "bytes per entry in C": bytes_theirs},
        ),
        Figure("100 000 expired entries: the longest time of a check and an entry, µs", f"{sweep / 1000:.1f}", "≤ 100", sweep <= 100_000, {"expired, ns": sweep}),
        Figure(
            "… the first request that meets them in varnishd, above the usual, µs; C",
            f"{sweep_ours / 1000:.0f}; {sweep_theirs / 1000:.0f}",
            data={"first request, ns": sweep_ours, "first request in C, ns": sweep_theirs},
        ),
    ]


class Calls:
    """What is_healthy() costs in vcl_synth with so many entries, for an object that is not denied: ns by itself and beside an empty call."""

    def __init__(self, ours: Server, theirs: Server, entries: int):
        self.ours, self.theirs = [], []
        for _ in range(rounds(CALL_ROUNDS)):
            self.ours.append(ours.per_call(1000))
            self.theirs.append(theirs.per_call(10 if entries > 1000 else 1000))


def calls(measured: dict[int, Calls], standard: list[float]) -> list[Figure]:
    found = []
    for entries, at in measured.items():
        ours, theirs = ([net for _, net in pairs] for pairs in (at.ours, at.theirs))
        name = f"is_healthy(), {entries} entries, net of an empty VMOD call, ns; C"
        data = {f"is_healthy at {entries}, ns": ours, f"is_healthy in C at {entries}, ns": theirs}
        found.append(Figure(name, f"{spread(ours)}; {spread(theirs)}", "≤ 100", statistics.median(ours) <= 100, data))
    # Not the median of ratios: a call is so short that the noise of one round would be most of its ratio.
    ours, theirs = (statistics.median(gross for gross, _ in pairs) for pairs in (measured[0].ours, measured[0].theirs))
    over, data = ours / theirs, {"whole call, ns": ours, "whole call in C, ns": theirs}
    found.append(Figure("… without entries, the call as a whole, over C; ns", f"{over:.2f}; {ours:.0f} over {theirs:.0f}", "≤ 1.2", over <= 1.2, data))
    found.append(Figure("… `std.healthy()`, net of an empty VMOD call, ns", spread(standard), data={"std.healthy, ns": standard}))
    return found


def gain(ours: Server, theirs: Server) -> list[Figure]:
    """What `CONNECTIONS` connections answer over what one does."""

    def of(server: Server, path: str, requests: int) -> Callable[[], float]:
        return lambda: server.rush(path, 1, requests) / server.rush(path, CONNECTIONS, requests)

    found = alternating(
        rounds(RUSH_ROUNDS),
        standard=of(ours, "/standard/{}", 300),
        ours=of(ours, "/check/{}", 300),
        theirs=of(theirs, "/slow/{}", 60),
    )
    share = ratios(found["ours"], found["standard"])
    half = statistics.median(share)
    name = f"is_healthy()/s, 1000 entries, {CONNECTIONS} connections over 1, over what std.healthy() gains"
    gains = {f"gain of {who}": found[key] for who, key in (("std.healthy()", "standard"), ("ours", "ours"), ("C", "theirs"))}
    return [
        Figure(name, spread(share, 2), "≥ 0.85", half >= 0.85, {"gain over that of std.healthy()": share}),
        Figure("… std.healthy() · ours · C", " · ".join(f"× {spread(gain, 2)}" for gain in gains.values()), data=gains),
    ]


def traffic(plain: Server, twin: Server, ours: Server, theirs: Server) -> list[Figure]:
    """CPU time of the whole child, with `ENTRIES` entries over without saintmode."""
    found = []
    for what, target, times in (("pass", "/pass/a", PASSES), ("hit with a check", "/hit", HITS)):

        def of(server: Server) -> Callable[[], float]:
            return lambda: server.cpu("GET", times, target, "")

        servers = {"plain": plain, "twin": twin, "ours": ours, "theirs": theirs}
        for server in servers.values():
            server.cpu("GET", 20, target)
        costs = alternating(rounds(ROUNDS), **{name: of(server) for name, server in servers.items()})
        same, mine, c = (ratios(costs[name], costs["plain"]) for name in ("twin", "ours", "theirs"))
        # What nine of ten comparisons of a server with its like stay below.
        usual = statistics.quantiles(same, n=10)[-1]
        half = statistics.median(mine)
        data = {f"{what}, ns, {server}": costs[server] for server in servers}
        found.append(Figure(f"CPU per {what}, 100 000 entries, over no saintmode", spread(mine, 2), f"≤ {usual:.2f}", half <= usual, data))
        found.append(Figure("… no saintmode over no saintmode · C", f"{spread(same, 2)} · {spread(c, 2)}"))
        found.append(Figure("… no saintmode, µs", spread((cost / 1000 for cost in costs["plain"]), 1)))
    return found
