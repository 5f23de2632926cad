# SPDX-License-Identifier: BSD-2-Clause
"""Every event is accounted for, to the last one, whatever the server does, over reloads and the death of the child.

At any time that nothing is under way, for each client:

    captured + found in the spool = sent + dropped after the capture + waiting + in the spool

What was called is known here: calls = captured + counted + dropped before the capture. So the sum of the two needs
no knowledge of which counter is before the capture and which after it.
"""

import json
import os
import random
import subprocess
import threading
import unittest

from . import wait
from .misbehaving import Choice, Misbehaving, Outcome, Post
from .traffic import Client, traffic
from .varnishd import Varnishd, folder_for_child
from .ways import LASTING, WAYS

GOOD = WAYS[0]
# `SEED=n tests/check e2e` repeats the choices of a run.
SEED = int(os.environ.get("SEED") or random.randrange(1 << 32))

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

    new small = sentry.client("%(small)s", throttle = 0, max_rate = 0, sample_rate = 0.8, environment = "%(environment)s");
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
    # Whatever else an event has, this alone does not fit into a queue of 64 KB.
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


def counters_of(varnishd: Varnishd) -> tuple[dict[str, int], set[str]]:
    """The module's counters, and the names that stand there twice."""
    done = subprocess.run(
        ["varnishstat", "-1", "-j", "-n", str(varnishd.folder / "work"), "-f", "SENTRY.*", "-f", "VMOD_SENTRY.*"],
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

    def dropped(self) -> int:
        return sum(value for name, value in self.counters.items() if name.startswith("dropped_"))

    def difference(self, calls: int) -> int:
        """How many events are there too many; 0 where all are accounted for."""
        came = calls + self["spool_found"]
        waiting = self["queue_events"] + self["spool_events"] + self["sending"]
        return self["counted"] + self["sent"] + self.dropped() + waiting - came

    def spool_difference(self) -> int:
        """The same for the spool alone."""
        left = self["spool_sent"] + self["spool_dropped"] + self["spool_events"]
        return left - self["spooled"] - self["spool_found"]

    def __str__(self) -> str:
        return ", ".join(f"{name} {value}" for name, value in self.counters.items() if value and "bytes" not in name)


def again(posts: list[Post]) -> list[str]:
    """The ids that came once more after they were answered for good."""
    done: set[str] = set()
    found = []
    for post in posts:
        if post.id in done:
            found.append(post.id)
        if post.id and post.outcome in (Outcome.TAKEN, Outcome.REFUSED, Outcome.LIMITED):
            done.add(post.id)
    return found


class Accounting(unittest.TestCase):
    def setUp(self) -> None:
        print(f"    seed {SEED}", flush=True)
        self.choice = Choice(WAYS, GOOD, SEED)
        self.folder = self.enterContext(folder_for_child())
        self.receivers = {name: self.enterContext(Misbehaving(self.choice)) for name in CLIENTS}
        self.settings = {
            "comment": "the first one",
            "folder": self.folder,
            "environment": "first",
            "events": 200,
            **{name: receiver.dsn(1) for name, receiver in self.receivers.items()},
        }
        self.calls = {name: Calls() for name in CLIENTS}
        self.twice: set[str] = set()
        # Of a child before.
        self.spooled: set[str] = set()

    def on_disk(self) -> set[str]:
        """The ids of the events in the spool."""
        return {path.stem.split("-")[1] for path in self.folder.glob("*/*.event")}

    def test_every_event_is_accounted_for_whatever_the_server_does(self) -> None:
        with Varnishd(vcl(**self.settings), parameters={"debug": "+vclrel"}) as self.varnishd:
            self.leave_some_in_the_spool()
            for receiver in self.receivers.values():
                receiver.listen()
            self.make_calls_that_are_answered()
            self.misbehave()
            self.drain()
            ledgers = self.settle("at the end")
            counters = self.varnishd.counters()
        self.compare(ledgers)
        with self.subTest("names stand there once"):
            self.assertEqual(self.twice, set())
        with self.subTest("nothing broke"):
            panics = {name: value for name, value in counters.items() if name.endswith("panics") and value}
            self.assertEqual((panics, counters["MGT.child_died"]), ({}, 0))
        for name, receiver in self.receivers.items():
            self.assertEqual(receiver.complaints, [], name)

    def leave_some_in_the_spool(self) -> None:
        """Events of a child before, whose server refused connections."""
        before = Calls()
        for _ in range(8):
            before.make(self.varnishd, "default", "message")
        self.varnishd.adm("stop")
        self.spooled = self.on_disk()
        self.assertEqual(self.spooled, before.ids)
        self.varnishd.adm("start")
        wait.until(self.varnishd.running, "the child runs again")

    def make_calls_that_are_answered(self) -> None:
        """Where the server takes everything, the number of each kind is known."""
        for name, calls in self.calls.items():
            for kind, number in KINDS.items():
                for _ in range(number):
                    calls.make(self.varnishd, name, kind)
        self.wait_for_the_last()
        ledgers = self.settle("while all is answered")
        self.assertEqual(ledgers["default"]["spool_found"], len(self.spooled))
        for name, ledger in ledgers.items():
            with self.subTest("while all is answered", client=name):
                # Of nine that are rare the fourth and the eighth are captured.
                self.assertEqual((ledger["counted"], ledger["dropped_ignored"]), (7, 4), ledger)
                throttled = 2 if name == "default" else 0
                self.assertEqual(ledger["dropped_throttled"], throttled, ledger)
                captured = 6 + 5 + 5 - throttled + 2 + 2 + 1
                if name == "small":
                    # Its queue is full at times, or it is for the large one.
                    captured -= ledger["dropped_sample_rate"]
                    late = ledger["dropped_queue_overflow"]
                else:
                    self.assertEqual(len(self.calls[name].ids), captured - 2)
                    late = 0
                self.assertEqual(ledger["captured"], captured, ledger)
                self.assertEqual(ledger["sent"], captured - late + ledger["spool_found"], ledger)

    def misbehave(self) -> None:
        """The server does what it likes, while VCLs come and go."""
        callers = [
            Caller(self.varnishd, name, calls, SEED + at) for at, (name, calls) in enumerate(self.calls.items())
        ]
        self.choice.only = None
        with traffic(callers):
            self.reload(callers, 0, comment="an equal one")
            self.reload(callers, 1, environment="second", plain=self.receivers["plain"].dsn(2))
            self.reload(callers, 2, events=40)
            self.reload(callers, 3, comment="another equal one")
            # Once more what was there first.
            self.reload(callers, 4, events=200, environment="first", plain=self.receivers["plain"].dsn(3))
            wait.until(lambda: self.choice.rounds > 1, "the server did everything once", 180)
        self.assertEqual([wrong for caller in callers for wrong in caller.wrong], [])

    def reload(self, callers: list[Caller], number: int, **changes: object) -> None:
        """Another VCL in place of the one before, with events under way; then a look at the counters."""
        posts = self.posts()
        wait.until(lambda: self.posts() >= posts + 12, "the server got more", 120)
        if "plain" in changes:
            # Here it will not be asked again for a minute, and elsewhere it is.
            self.limit_for_a_minute("plain", LASTING[number % len(LASTING)])
        self.settings |= changes
        self.varnishd.use_vcl(vcl(**self.settings), f"vcl{number}")
        self.varnishd.adm("vcl.discard", f"vcl{number - 1}" if number else "boot")
        wait.until(lambda: self.varnishd.adm("vcl.list").count("\n") <= 2, "the old VCL has gone")
        # It said so.
        self.calls["plain"].calls += 1
        self.calls["plain"].silent += 1
        for caller in callers:
            caller.busy.acquire()
        try:
            self.settle(f"reload {number} {changes}")
        finally:
            for caller in callers:
                caller.busy.release()

    def limit_for_a_minute(self, name: str, way) -> None:  # noqa: ANN001
        receiver = self.receivers[name]
        receiver.only = way
        wait.until(lambda: any(post.way == way.name for post in list(receiver.posts)), way.name, 120)
        receiver.only = None

    def posts(self) -> int:
        return sum(len(receiver.posts) for receiver in self.receivers.values())

    def drain(self) -> None:
        """The server takes everything again."""
        self.choice.only = GOOD
        self.wait_for_the_last()

    def ledgers(self) -> dict[str, Ledger]:
        counters, twice = counters_of(self.varnishd)
        self.twice |= twice
        return {name: Ledger(counters, name) for name in CLIENTS}

    def wait_for_the_last(self) -> None:
        gauges = ("queue_events", "spool_events", "sending")
        ledgers: dict[str, Ledger] = {}

        def is_empty() -> bool:
            ledgers.update(self.ledgers())
            return not any(ledger[gauge] for ledger in ledgers.values() for gauge in gauges)

        try:
            wait.until(is_empty, "all is sent", 20)
        except TimeoutError as late:
            told = "".join(f"\n{name}: {ledger}" for name, ledger in ledgers.items())
            raise TimeoutError(f"{late}{told}") from None

    def settle(self, when: str) -> dict[str, Ledger]:
        """The counters at a time when nothing is under way, where each client's must agree."""
        last: dict[str, Ledger] = {}
        wrong: dict[str, tuple[int, int]] = {}

        def agree() -> bool:
            nonlocal last
            before, last = last, self.ledgers()
            wrong.clear()
            for name, ledger in last.items():
                if ledger["sending"] or not before or before[name].counters != ledger.counters:
                    wrong[name] = (0, 0)
                elif differences := (ledger.difference(self.calls[name].calls), ledger.spool_difference()):
                    if any(differences):
                        wrong[name] = differences
            return not wrong

        try:
            wait.until(agree, "agreement", 45)
        except TimeoutError:
            for name, differences in wrong.items():
                with self.subTest(when, client=name):
                    self.fail(f"{differences} too many, in all and in the spool: {self.calls[name].calls} calls, {last[name]}")
        return last

    def compare(self, ledgers: dict[str, Ledger]) -> None:
        """What the counters say with what the server saw."""
        for name, ledger in ledgers.items():
            receiver, calls = self.receivers[name], self.calls[name]
            taken = receiver.of(Outcome.TAKEN)
            refused = receiver.of(Outcome.REFUSED) - taken
            limited = receiver.of(Outcome.LIMITED) - taken
            unsure = len(receiver.of(Outcome.UNSURE) - taken - refused - limited)
            ids = [post.id for post in receiver.posts if post.id]
            failed = [post.id for post in receiver.posts if post.id and post.outcome is Outcome.FAILED]
            given_up = {id for id in failed if failed.count(id) >= 10} - taken
            self.check_range(name, "sent", ledger, len(taken), unsure)
            self.check_range(name, "dropped_rate_limited", ledger, len(limited), unsure)
            self.check_range(name, "dropped_send_error", ledger, len(refused), len(given_up) + unsure)
            with self.subTest("what was answered for good comes no more", client=name):
                self.assertEqual(again(receiver.posts), [])
            with self.subTest("nobody else's events come", client=name):
                known = calls.ids | (self.spooled if name == "default" else set())
                self.assertLessEqual(len(set(ids) - known), calls.silent)
            with self.subTest("captured is what has an id", client=name):
                # Of what is too large nobody is told an id.
                large = calls.by_kind["large"] if name == "small" else 0
                least = len(calls.ids)
                self.assertTrue(least <= ledger["captured"] <= least + calls.silent + large, ledger)
            with self.subTest("every request is counted, and what came of it", client=name):
                self.assertGreaterEqual(ledger["requests"], len(receiver.posts))
                outcomes = ("answers_2xx", "answers_429", "answers_4xx", "answers_5xx", "answers_other", "unanswered")
                self.assertEqual(ledger["requests"], sum(ledger[outcome] for outcome in outcomes), ledger)
            with self.subTest("no loss is reported twice", client=name):
                told = sum(post.discarded for post in receiver.posts if post.outcome is Outcome.TAKEN)
                self.assertLessEqual(told, ledger.dropped())
        with self.subTest("nothing is left"):
            self.assertEqual((self.on_disk(), list(self.folder.glob("*/*.new"))), (set(), []))

    def check_range(self, client: str, counter: str, ledger: Ledger, least: int, unsure: int) -> None:
        with self.subTest(f"{counter} is what the server says", client=client):
            self.assertTrue(least <= ledger[counter] <= least + unsure, f"{least} to {least + unsure}, {ledger}")
