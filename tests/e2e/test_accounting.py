# SPDX-License-Identifier: BSD-2-Clause
"""Every event is accounted for, to the last one, whatever the server does, over reloads and the death of the child."""

import os
import random
import re
import signal
import unittest

from . import wait
from .accounting import CLIENTS, KINDS, Caller, Calls, Ledger, counters_of, vcl
from .misbehaving import Choice, Exchange, Misbehaving, Outcome, Post, Way
from .traffic import traffic
from .varnishd import Varnishd, folder_for_child
from .ways import LASTING, WAYS, answer

GOOD = WAYS[0]
# `SEED=n tests/check e2e` repeats the choices of a run.
SEED = int(os.environ.get("SEED") or random.randrange(1 << 32))


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
        self.patience = 60
        # Of a child before.
        self.spooled: set[str] = set()

    def on_disk(self) -> set[str]:
        """The ids of the events in the spool."""
        return {path.stem.split("-")[1] for path in self.folder.glob("*/*.entry")}

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
            self.assertEqual(sorted(self.twice)[:3], [])
        with self.subTest("nothing broke"):
            panics = {name: value for name, value in counters.items() if name.endswith("panics") and value}
            self.assertEqual((panics, counters["MGT.child_died"]), ({}, 0))
        with self.subTest("the spool was there all the time"):
            self.assertEqual(ledgers["default"]["spool_failures"], 0)
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
                self.assertEqual((ledger["counted"], ledger["refused_ignored"]), (7, 4), ledger)
                throttled = 2 if name == "default" else 0
                self.assertEqual(ledger["refused_throttled"], throttled, ledger)
                captured = 6 + 5 + 5 - throttled + 2 + 2 + 1
                if name == "small":
                    # Its queue is full at times, or it is for the large one.
                    captured -= ledger["refused_sample_rate"]
                    late = ledger["dropped_queue_overflow"]
                    self.assertEqual(self.calls[name].told["large"], 0)
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
        print(f"    seed {SEED}", flush=True)
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
        left = re.compile(r"\S+$", re.M)
        wait.until(lambda: left.findall(self.varnishd.adm("vcl.list")) == [f"vcl{number}"], "the old VCL has gone")
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
            return not self.on_disk() and not any(ledger[gauge] for ledger in ledgers.values() for gauge in gauges)

        try:
            wait.until(is_empty, "all is sent", 120)
        except TimeoutError as late:
            told = "".join(f"\n{name}: {ledger}" for name, ledger in ledgers.items())
            raise TimeoutError(f"{late}{told}") from None

    def settle(self, when: str) -> dict[str, Ledger]:
        """The counters at a time when nothing is under way, where they must agree; of each client at its own time."""
        last: dict[str, Ledger] = {}
        agreed: dict[str, Ledger] = {}

        def agree() -> bool:
            nonlocal last
            before, last = last, self.ledgers()
            for name, ledger in last.items():
                # What is under way in between would be seen in one of two that follow each other.
                is_idle = not ledger["sending"] and before and before[name].counters == ledger.counters
                if is_idle and not any(ledger.differences(self.calls[name].calls)):
                    agreed.setdefault(name, ledger)
            return len(agreed) == len(last)

        try:
            wait.until(agree, "agreement", self.patience)
        except TimeoutError:
            # What is wrong once will be so again.
            self.patience = 10
            for name in last.keys() - agreed.keys():
                with self.subTest(when, client=name):
                    calls, ledger = self.calls[name].calls, last[name]
                    too_many = ledger.differences(calls)
                    self.fail(f"too many, in all and in the spool: {too_many}; {calls} calls, {ledger}")
        return last | agreed

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
                self.assertLessEqual(told, ledger.lost())
        with self.subTest("nothing is left"):
            self.assertEqual((self.on_disk(), list(self.folder.glob("*/*.new"))), (set(), []))

    def check_range(self, client: str, counter: str, ledger: Ledger, least: int, unsure: int) -> None:
        with self.subTest(f"{counter} is what the server says", client=client):
            self.assertTrue(least <= ledger[counter] <= least + unsure, f"{least} to {least + unsure}, {ledger}")

    def test_what_was_on_disk_when_the_child_was_killed_arrives(self) -> None:
        receiver = self.receivers["default"]
        self.settings["events"] = 8
        with Varnishd(vcl(**self.settings)) as self.varnishd:

            # One after the other: of a burst the queue may drop more than the spool gets, on a machine that is busy.
            def call_once_more() -> bool:
                self.calls["default"].make(self.varnishd, "default", "message")
                return len(self.on_disk()) >= 20

            wait.until(call_once_more, "events are on disk", 120)

            # Killed while one of them is under way: what has no place there is taken, what has one gets no answer.
            def hold(exchange: Exchange) -> bool:
                exchange.read()
                is_spooled = exchange.post and exchange.post.id in self.on_disk()
                return exchange.hold() if is_spooled else answer(exchange, 200)

            receiver.only = Way("hold", hold, fails=True)
            receiver.listen()
            wait.until(lambda: receiver.of(Outcome.UNANSWERED) & self.on_disk(), "one is under way", 120)
            # The newest one.
            damaged = max(self.folder.glob("*/*.entry"), key=lambda path: path.name)
            damaged.write_bytes(damaged.read_bytes()[:-1])
            first, since_first = self.kill(receiver)
            lost = {damaged.stem.split("-")[1]} & first

            # Killed once more while they are taken.
            receiver.only = None
            receiver.listen()
            wait.until(lambda: len(receiver.of(Outcome.TAKEN) & first) >= 5, "some arrive", 120)
            second, since_second = self.kill(receiver)
            crossing = second & {post.id for post in receiver.posts[since_first:since_second]}

            receiver.listen()
            wait.until(lambda: receiver.of(Outcome.TAKEN) >= first - lost, "all arrive", 120)
            self.wait_for_the_last()
            # This child was not called at all.
            self.calls = {name: Calls() for name in CLIENTS}
            ledger = self.settle("after two deaths")["default"]
        came = [post.id for post in receiver.posts[since_first:] if post.id]
        for ids, times in ((first - lost - crossing, 1), (crossing, 2)):
            self.assertEqual({id: came.count(id) for id in ids}, dict.fromkeys(ids, times))
        self.assertLessEqual(len(crossing), 2, "as many as there are connections")
        self.assertEqual(set(came) - first, set())
        self.assertEqual(ledger["sent"], len(second - lost))
        self.assertEqual(self.on_disk(), set())

    def kill(self, receiver: Misbehaving) -> tuple[set[str], int]:
        """Kills the child; what is on disk then, and how many posts there were. The next child is refused."""
        receiver.refuse()
        killed = self.varnishd.child()
        os.kill(killed, signal.SIGKILL)
        wait.until(lambda: self.varnishd.running() and self.varnishd.child() not in (0, killed), "a new child runs")
        return self.on_disk(), len(receiver.posts)
