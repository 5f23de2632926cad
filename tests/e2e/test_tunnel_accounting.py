# SPDX-License-Identifier: BSD-2-Clause
"""What a tunnel takes is accounted for, to the last report, whatever the servers behind it do, over a reload; and what a client
captures that sends to one of these servers, too."""

import json
import os
import random
import unittest
import uuid

from . import wait
from .accounting import Ledger, counters_of
from .misbehaving import Choice, Misbehaving, Outcome
from .receiver import KEY
from .test_accounting import again
from .traffic import Client, traffic
from .varnishd import Varnishd, folder_for_child
from .ways import WAYS

GOOD = WAYS[0]
SEED = int(os.environ.get("SEED") or random.randrange(1 << 32))
VCL = """vcl 4.1;
import sentry;
backend none none;
sub vcl_init {
    new t = sentry.tunnel("%(dsns)s", throttle = 3, window = %(window)s, per_client = 0, max_rate = 0, share = "2=0.5");
    t.ignore(message = "^ignored");
    t.queue(events = 30);
    t.spool("%(folder)s");
    t.server(timeout = 2s);
    new c = sentry.client("%(dsn)s", throttle = 0, max_rate = 0);
    c.server(timeout = 2s);
    c.queue(events = 30);
}
sub vcl_recv {
    if (req.url == "/call") { return (synth(200)); }
    return (synth(t.accept()));
}
sub vcl_synth {
    if (req.url == "/call") { set resp.http.Id = c.capture("called"); return (deliver); }
    set resp.http.Result = t.result(); set resp.body = t.count(); return (deliver);
}
"""
# The servers of the projects.
PROJECTS = {1: "first", 2: "first", 3: "second"}
# Of each how many of twenty: those of one text are throttled.
KINDS = {"new": 12, "alike": 5, "ignored": 2, "malformed": 1}
FATES = ("processed", "throttled", "ignored", "sampled", "limited", "dropped")


class Browser(Client):
    """Reports one error after the other, of any project, and has the client capture some."""

    def __init__(self, port: int, number: int, pause: float = 0.02):
        super().__init__(port, number)
        self.random = random.Random(SEED + number)
        self.pause = pause
        self.results: list[str] = []
        self.processed: set[str] = set()
        self.calls = 0
        self.captured: set[str] = set()

    def act(self) -> None:
        if self.random.random() < 0.2:
            response, _ = self.ask("GET", "/call", {})
            self.calls += 1
            if response.headers["Id"]:
                self.captured.add(response.headers["Id"])
        else:
            self.report()
        self.stopping.wait(self.pause)

    def report(self) -> None:
        kind = self.random.choices(list(KINDS), list(KINDS.values()))[0]
        project = self.random.choice(list(PROJECTS))
        id = uuid.UUID(int=self.random.getrandbits(128), version=4).hex
        message = f"new {id}" if kind == "new" else kind
        event = json.dumps({"event_id": id, "message": message})
        body = f'{{"event_id":"{id}"}}\n{{"type":"event"}}\n{event}\n' if kind != "malformed" else "{"
        self.connection.request("POST", f"/api/{project}/envelope/?sentry_key={KEY}", body)
        response = self.connection.getresponse()
        response.read()
        result = response.headers["Result"]
        self.results.append(result)
        if result == "processed":
            self.processed.add(id)
        expected = 400 if kind == "malformed" else 429 if result == "limited" else 200
        if response.status != expected:
            raise ValueError(f"{result} is answered {response.status}")


class Accounting(unittest.TestCase):
    def setUp(self) -> None:
        self.choice = Choice(WAYS, GOOD, SEED)
        self.folder = self.enterContext(folder_for_child())
        self.servers = {name: self.enterContext(Misbehaving(self.choice)) for name in set(PROJECTS.values())}
        self.dsns = ", ".join(self.servers[name].dsn(project) for project, name in PROJECTS.items())
        self.browsers: list[Browser] = []

    def vcl(self, window: str) -> str:
        dsn = self.servers["first"].dsn(1)
        return VCL % {"dsns": self.dsns, "dsn": dsn, "folder": self.folder, "window": window}

    def ledgers(self) -> dict[str, Ledger]:
        """Those of the tunnel's client and of the other one."""
        counters = counters_of(self.varnishd)[0]
        return {name: Ledger(counters, name) for name in ("t", "c")}

    def of_requests(self) -> dict[str, int]:
        begin = "SENTRY_TUNNEL.t."
        return {name.removeprefix(begin): value for name, value in self.varnishd.counters().items() if name.startswith(begin)}

    def report(self, until, what: str) -> None:  # noqa: ANN001
        """Browsers report until that is so."""
        browsers = [Browser(self.varnishd.port, len(self.browsers) + number) for number in range(3)]
        self.browsers += browsers
        with traffic(browsers):
            wait.until(until, what, 180)
        self.assertEqual([wrong for browser in browsers for wrong in browser.wrong], [])

    def settle(self) -> dict[str, Ledger]:
        """The counters once nothing is left."""
        last: dict[str, Ledger] = {}

        def is_empty() -> bool:
            last.update(self.ledgers())
            return not any(ledger[gauge] for ledger in last.values() for gauge in ("queue_events", "spool_events", "sending"))

        try:
            wait.until(is_empty, "all is sent", 120)
        except TimeoutError as late:
            raise TimeoutError("\n".join([str(late), *map(str, last.values())])) from None
        return last

    def posts(self) -> int:
        return sum(len(server.posts) for server in self.servers.values())

    def test_every_report_is_accounted_for(self) -> None:
        print(f"    seed {SEED}", flush=True)
        with Varnishd(self.vcl("1s")) as self.varnishd:
            for server in self.servers.values():
                server.listen()
            self.choice.only = None
            self.report(lambda: self.posts() > 60, "the servers got some")
            # One of them is away, the other one is not held up.
            self.servers["second"].refuse()
            there = self.servers["first"]
            posts = len(there.posts)
            self.report(lambda: len(there.posts) > posts + 40 and self.ledgers()["t"]["spool_events"], "one is away")
            self.varnishd.use_vcl(self.vcl("2s"), "changed")
            self.varnishd.adm("vcl.discard", "boot")
            self.report(lambda: self.choice.rounds > 1, "the servers did everything once")
            self.servers["second"].listen()
            self.choice.only = GOOD
            ledgers = self.settle()
            self.check_requests()
            self.compare(ledgers)
            counters = self.varnishd.counters()
        panics = {name: value for name, value in counters.items() if name.endswith("panics") and value}
        self.assertEqual((panics, counters["MGT.child_died"]), ({}, 0))
        for server in self.servers.values():
            self.assertEqual(server.complaints, [])

    def check_requests(self) -> None:
        """Each request has one fate, the one that its browser was told."""
        results = [result for browser in self.browsers for result in browser.results]
        told = {fate: results.count(fate) for fate in FATES}
        counted = self.of_requests()
        self.assertEqual({fate: counted[fate] for fate in FATES}, told)
        self.assertEqual(counted["accepted"], sum(told.values()))
        malformed = sum(result.startswith("refused: ") for result in results)
        self.assertEqual((counted["refused_malformed"], counted["accepted"] + malformed), (malformed, len(results)))
        for fate in ("processed", "throttled", "ignored", "sampled"):
            self.assertGreater(told[fate], 0, fate)

    def compare(self, ledgers: dict[str, Ledger]) -> None:
        """What is said of events: each that was accepted was one."""
        counted = self.of_requests()
        ids = {
            "t": set[str]().union(*(browser.processed for browser in self.browsers)),
            "c": set[str]().union(*(browser.captured for browser in self.browsers)),
        }
        calls = {"t": counted["accepted"], "c": sum(browser.calls for browser in self.browsers)}
        self.assertEqual(ledgers["t"]["captured"], counted["processed"], ledgers["t"])
        of = {outcome: set[str]().union(*(server.of(outcome) for server in self.servers.values())) for outcome in Outcome}
        self.assertLessEqual(set[str]().union(*of.values()), ids["t"] | ids["c"])
        for name, ledger in ledgers.items():
            self.assertEqual(ledger.differences(calls[name]), (0, 0), f"{calls[name]} came, {ledger}")
            taken, unsure = of[Outcome.TAKEN] & ids[name], of[Outcome.UNSURE] & ids[name]
            self.assertGreater(len(taken), 0, name)
            self.assertTrue(len(taken) <= ledger["sent"] <= len(taken | unsure), f"{len(taken)} taken, {ledger}")
        for server in self.servers.values():
            self.assertEqual(again(server.posts), [])
        self.assertEqual(list(self.folder.glob("*/*.entry")), [])
