# SPDX-License-Identifier: BSD-2-Clause
"""What a test of the accounting calls, and what the counters say of it.

At any time that nothing is under way, for each client:

    captured + found in the spool = sent + dropped after the capture + waiting + in the spool

What was called is known here: calls = captured + counted + dropped before the capture. So the sum of the two needs
no knowledge of which counter is before the capture and which after it.
"""

import json
import random
import subprocess
import threading

from .traffic import Client
from .varnishd import Varnishd

SERVER = "connections = 2, connect_timeout = 2s, timeout = 3s, shutdown_timeout = 2s"

VCL = """
vcl 4.1;

# %(comment)s
import sentry;
import std;

backend none none;

sub vcl_init {
    sentry.init("%(default)s", throttle = 3, window = 1d, max_rate = 0, environment = "%(environment)s");
    sentry.server(%(server)s);
    sentry.queue(events = %(events)s);
    sentry.spool(folder = "%(folder)s");
    sentry.ignore(message = "^noise");
    sentry.rule(tag = "VCL_Log", match = "^fault");

    new plain = sentry.client("%(plain)s", throttle = 0, max_rate = 15, environment = "%(environment)s");
    plain.server(%(server)s);
    plain.task_log(form = attachment);
    plain.rule(tag = "VCL_Log", match = "^fault");

    new small = sentry.client("%(small)s", throttle = 0, max_rate = 0, sample_rate = 0.8,
        environment = "%(environment)s");
    small.server(%(server)s);
    small.queue(events = 20, bytes = 64KB);
    small.rule(tag = "VCL_Log", match = "^fault");
}

sub vcl_recv {
    if (req.http.Kind == "watched") {
        if (req.http.Client == "default") { sentry.watch(); }
        if (req.http.Client == "plain") { plain.watch(); }
        if (req.http.Client == "small") { small.watch(); }
        std.log("fault of " + req.url);
    }
    return (synth(200));
}

sub vcl_synth {
    # With all else that it has such an event does not fit into a queue of 64 KB.
    if (req.http.Kind == "large") {
        %(large)s
    }
%(calls)s
    return (deliver);
}

sub vcl_fini {
    plain.capture("generation ends", level = info);
}
"""

# One call of a client each, but `nothing`, which is none.
CALLS = """
    if (req.http.Client == "{name}") {{
        if (req.http.Kind == "message") {{
            set resp.http.Id = {client}.capture("message to " + req.url, level = warning);
        }}
        if (req.http.Kind == "exception") {{
            set resp.http.Id = {client}.capture_exception("Error at " + req.url, "of the origin");
        }}
        if (req.http.Kind == "throttled") {{
            set resp.http.Id = {client}.capture("always the same, at {{1}}", p1 = req.url);
        }}
        if (req.http.Kind == "ignored") {{
            set resp.http.Id = {client}.capture("noise");
        }}
        if (req.http.Kind == "rare") {{
            set resp.http.Id = {client}.capture("seen often", after = 4, within = 1d);
        }}
        if (req.http.Kind == "nothing") {{
            set resp.http.Id = {client}.capture("");
        }}
        if (req.http.Kind == "large") {{
            set resp.http.Id = {client}.capture("large, at " + req.url);
        }}
    }}
"""

CLIENTS = {"default": "sentry", "plain": "plain", "small": "small"}
# How many calls of each kind in the beginning.
KINDS = {"message": 6, "exception": 5, "throttled": 5, "ignored": 4, "rare": 9, "nothing": 2, "watched": 2, "large": 1}


def vcl(**settings: object) -> str:
    large = "\n".join(f'sentry.set_extra("large{n}", "{"x" * 7500}");' for n in range(4))
    calls = "".join(CALLS.format(name=name, client=client) for name, client in CLIENTS.items())
    return VCL % ({"server": SERVER, "large": large, "calls": calls} | settings)


class Calls:
    """What was asked of one client, since the child began."""

    def __init__(self) -> None:
        self.calls = 0
        self.by_kind = dict.fromkeys(KINDS, 0)
        # Events whose id nobody is told.
        self.silent = 0
        self.ids: set[str] = set()
        self.told = dict.fromkeys(KINDS, 0)

    def make(self, varnishd: Varnishd, client: str, kind: str) -> None:
        """Has a request make one call."""
        url = f"/{client}/{kind}/{self.by_kind[kind]}"
        headers = {"Client": client, "Kind": kind}
        if kind == "large":
            # Together with these.
            headers |= {f"X-Large-{n}": str(n) * 1900 for n in range(10)}
        self.note(kind, varnishd.request(url, headers=headers).headers["Id"])

    def note(self, kind: str, id: str | None) -> None:
        self.by_kind[kind] += 1
        self.calls += kind != "nothing"
        self.silent += kind == "watched"
        if id:
            self.ids.add(id)
            self.told[kind] += 1


class Caller(Client):
    """Calls one client in all kinds, again and again; what is asked while it is paused waits."""

    def __init__(self, varnishd: Varnishd, client: str, calls: Calls, seed: int):
        super().__init__(varnishd.port, 0)
        self.varnishd, self.client, self.calls = varnishd, client, calls
        self.busy = threading.Lock()
        self.random = random.Random(seed)

    def act(self) -> None:
        with self.busy:
            kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
            self.calls.make(self.varnishd, self.client, kind)
        self.stopping.wait(self.random.choice((0, 0.05, 0.1)))


def counters_of(varnishd: Varnishd, *names: str) -> tuple[dict[str, int], set[str]]:
    """The module's counters, or those that `names` match, and the names that stand there twice."""
    filters = [word for name in names or ("SENTRY.*", "VMOD_SENTRY.*") for word in ("-f", name)]
    done = subprocess.run(
        ["varnishstat", "-1", "-j", "-n", str(varnishd.folder / "work"), *filters],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=True,
    )
    twice: set[str] = set()

    def pairs(found: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in found]
        twice.update(name for name in names if names.count(name) > 1)
        return dict(found)

    counters = json.loads(done.stdout, object_pairs_hook=pairs)["counters"]
    return {name: counter["value"] for name, counter in counters.items()}, twice


class Ledger:
    """The counters of one client at one time."""

    def __init__(self, counters: dict[str, int], client: str) -> None:
        begin = f"SENTRY.{client}."
        self.counters = {name.removeprefix(begin): value for name, value in counters.items() if name.startswith(begin)}

    def __getitem__(self, name: str) -> int:
        return self.counters[name]

    def lost(self) -> int:
        """Not captured, or captured and lost."""
        return sum(value for name, value in self.counters.items() if name.startswith(("refused_", "dropped_")))

    def differences(self, calls: int) -> tuple[int, int]:
        """How many events there are too many, of all and of those that were in the spool."""
        came = calls + self["spool_found"]
        waiting = self["queue_events"] + self["spool_events"] + self["sending"]
        spool = self["spool_sent"] + self["spool_dropped"] + self["spool_events"]
        return (
            self["counted"] + self["sent"] + self.lost() + waiting - came,
            spool - self["spooled"] - self["spool_found"],
        )

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.counters.items() if value and "bytes" not in name)
