# SPDX-License-Identifier: BSD-2-Clause
"""What a tunnel takes is accounted for, to the last report, whatever the servers behind it do, over a reload."""

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
}
sub vcl_recv { return (synth(t.accept())); }
sub vcl_synth { set resp.http.Result = t.result(); set resp.body = t.count(); return (deliver); }
"""
# The servers of the projects.
PROJECTS = {1: "first", 2: "first", 3: "second"}
# Of each how many of twenty: those of one text are throttled.
KINDS = {"new": 12, "alike": 5, "ignored": 2, "malformed": 1}
FATES = ("processed", "throttled", "ignored", "sampled", "limited", "dropped")


class Browser(Client):
    """Reports one error after the other, of any project."""

    def __init__(self, port: int, number: int, pause: float = 0.02):
        super().__init__(port, number)
        self.random = random.Random(SEED + number)
        self.pause = pause
        self.results: list[str] = []
        self.processed: set[str] = set()

    def act(self) -> None:
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
        self.stopping.wait(self.pause)


class Accounting(unittest.TestCase):
    def setUp(self) -> None:
        self.choice = Choice(WAYS, GOOD, SEED)
        self.folder = self.enterContext(folder_for_child())
        self.servers = {name: self.enterContext(Misbehaving(self.choice)) for name in set(PROJECTS.values())}
        self.dsns = ", ".join(self.servers[name].dsn(project) for project, name in PROJECTS.items())
        self.browsers: list[Browser] = []

    def vcl(self, window: str) -> str:
        return VCL % {"dsns": self.dsns, "folder": self.folder, "window": window}

    def ledgers(self) -> tuple[Ledger, dict[str, int]]:
        counters = self.varnishd.counters()
        of_requests = {
            name.removeprefix("SENTRY_TUNNEL.t."): value
            for name, value in counters.items()
            if name.startswith("SENTRY_TUNNEL.t.")
        }
        return Ledger(counters_of(self.varnishd)[0], "t"), of_requests

    def report(self, until, what: str) -> None:  # noqa: ANN001
        """Browsers report until that is so."""
        browsers = [Browser(self.varnishd.port, len(self.browsers) + number) for number in range(3)]
        self.browsers += browsers
        with traffic(browsers):
            wait.until(until, what, 180)
        self.assertEqual([wrong for browser in browsers for wrong in browser.wrong], [])

    def settle(self) -> Ledger:
        """The counters once nothing is left."""
        last: list[Ledger] = []

        def is_empty() -> bool:
            last[:] = [self.ledgers()[0]]
            return not any(last[0][gauge] for gauge in ("queue_events", "spool_events", "sending"))

        try:
            wait.until(is_empty, "all is sent", 120)
        except TimeoutError as late:
            raise TimeoutError(f"{late}\n{last[0]}") from None
        return last[0]

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
            self.report(lambda: len(there.posts) > posts + 40 and self.ledgers()[0]["spool_events"], "one is away")
            self.varnishd.use_vcl(self.vcl("2s"), "changed")
            self.varnishd.adm("vcl.discard", "boot")
            self.report(lambda: self.choice.rounds > 1, "the servers did everything once")
            self.servers["second"].listen()
            self.choice.only = GOOD
            ledger = self.settle()
            self.check_requests()
            self.compare(ledger)
            counters = self.varnishd.counters()
        panics = {name: value for name, value in counters.items() if name.endswith("panics") and value}
        self.assertEqual((panics, counters["MGT.child_died"]), ({}, 0))
        for server in self.servers.values():
            self.assertEqual(server.complaints, [])

    def check_requests(self) -> None:
        """Each request has one fate, the one that its browser was told."""
        results = [result for browser in self.browsers for result in browser.results]
        told = {fate: results.count(fate) for fate in FATES}
        counted = self.ledgers()[1]
        self.assertEqual({fate: counted[fate] for fate in FATES}, told)
        self.assertEqual(counted["accepted"], sum(told.values()))
        malformed = sum(result.startswith("refused: ") for result in results)
        self.assertEqual((counted["refused_malformed"], counted["accepted"] + malformed), (malformed, len(results)))
        for fate in ("processed", "throttled", "ignored", "sampled"):
            self.assertGreater(told[fate], 0, fate)

    def compare(self, ledger: Ledger) -> None:
        """What is said of events: each that was accepted was one."""
        counted = self.ledgers()[1]
        came = counted["accepted"]
        self.assertEqual(ledger.differences(came), (0, 0), f"{came} came, {ledger}")
        self.assertEqual(ledger["captured"], counted["processed"], ledger)
        of = {outcome: set[str]().union(*(server.of(outcome) for server in self.servers.values())) for outcome in Outcome}
        taken, unsure = of[Outcome.TAKEN], of[Outcome.UNSURE] - of[Outcome.TAKEN]
        self.assertTrue(len(taken) <= ledger["sent"] <= len(taken | unsure), f"{len(taken)} taken, {ledger}")
        sent = set[str]().union(*of.values())
        self.assertLessEqual(sent, set[str]().union(*(browser.processed for browser in self.browsers)))
        for server in self.servers.values():
            self.assertEqual(again(server.posts), [])
        self.assertEqual(list(self.folder.glob("*/*.entry")), [])
