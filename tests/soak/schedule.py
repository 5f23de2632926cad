# SPDX-License-Identifier: BSD-2-Clause
"""What happens when: lives of children that end in each way while VCLs come and go, then a long one whose use of the
machine is watched, then the end, when all that was captured has to have come to something, and another varnishd, whose log the
daemon has to go on with."""

import json
import re
import time

from e2e import wait
from e2e.ways import LASTING

from . import site
from .accounts import OUTCOMES
from .child import Snapshot, on_disk
from .stage import GOOD, VISITORS, Stage

# The share of the time in which children end.
ENDS = 0.4
# Seconds between two reloads, and between two looks.
RELOADS = 4
LOOKS = 5


class Schedule:
    def __init__(self, stage: Stage, seconds: float) -> None:
        self.stage, self.story = stage, stage.story
        self.seconds = seconds
        # Failures that were answered, and may be in no log.
        self.unwritten = 0

    def run(self) -> None:
        self.stage.choice.only = None
        with self.stage.traffic():
            self.live_and_die(self.seconds * ENDS)
            self.live_long(self.seconds)
        self.end_well()

    # Children that end.

    def live_and_die(self, until: float) -> None:
        """Each way to end in turn, amid traffic and reloads."""
        ways = [self.kill_amid_traffic, self.stop, self.kill_in_a_pause]
        turn = 0
        while self.story.seconds() < until or turn < len(ways):
            time.sleep(1)
            self.stage.reload()
            time.sleep(2)
            ways[turn % len(ways)]()
            turn += 1

    def kill_amid_traffic(self) -> None:
        """What is asked at that moment gets no answer."""
        stage = self.stage
        stage.is_upset.set()
        # Whoever has connected is served by this child: nobody connects any more, but who has, asks on.
        time.sleep(0.3)
        seen = self.kill()
        with stage.quiet():
            # A request is written to the log after its answer: the child may have had no time for the last one of each.
            self.unwritten += sum(visitor.latest == "failed_vcl" for visitor in stage.visitors)
            halves = stage.accounts.imbalances(seen)
            if halves:
                # A thread may have been between two counters, but seldom is.
                self.story.half_way.append(f"killed amid traffic: {dict(halves)}")
            seen.differences = stage.accounts.calls(seen, stage.book)
            self.end_life("killed amid traffic", seen, self.files, is_killed=True)
            stage.is_upset.clear()

    def kill_in_a_pause(self) -> None:
        """Nobody asks, and what was captured is on its way."""
        with self.stage.quiet():
            seen = self.stage.child.look(self.stage.differences)
            self.stage.note_wrong("before it is killed", seen.differences)
            self.end_life("killed in a pause", self.kill(), self.files, is_killed=True)

    def kill(self) -> Snapshot:
        """Kills the child; how it was, and what was on disk then."""

        def look_at_disks() -> None:
            self.files = self.disks()

        return self.stage.child.kill(look_at_disks)

    def stop(self) -> None:
        """As an operator does it."""
        with self.stage.quiet():
            seen = self.stage.child.look(self.stage.differences)
            self.stage.note_wrong("before it is stopped", seen.differences)
            seen = self.stage.child.stop()
            how = "stopped with no time left" if seen.is_cut_off else "stopped"
            self.end_life(how, seen, self.disks(), is_killed=False)

    def disks(self) -> dict[str, set[str]]:
        return {name: on_disk(folder) for name, folder in self.stage.folders.items()}

    def end_life(self, how: str, seen: Snapshot, files: dict[str, set[str]], is_killed: bool) -> None:
        """What the end of this child took, and another child."""
        self.story.ends[how] += 1
        before = self.stage.child.pid
        self.close_accounts(how, seen, files)
        varnishd = self.stage.varnishd
        if not is_killed:
            varnishd.adm("start")
        wait.until(lambda: varnishd.running() and varnishd.child() not in (0, before), "another child runs")
        self.stage.begin_life(is_after_death=is_killed)

    def close_accounts(self, how: str, seen: Snapshot, files: dict[str, set[str]]) -> None:
        stage = self.stage
        stage.note_counters(seen.counters)
        stage.note_wrong(how, seen.differences)
        stage.child.hear_servers_out()
        wrong = stage.accounts.end_life(seen, stage.book, stage.receivers, files)
        self.story.differences += [f"{how}, {text}" for text in wrong]

    # One that does not.

    def live_long(self, until: float) -> None:
        """Reloads and looks, until the time is over."""
        next_reload = next_look = next_change = 0.0
        # Some servers say once what keeps a client away for a minute.
        for name, way in zip(("plain", "wild"), LASTING, strict=True):
            self.stage.receivers[name].only = way
        while (now := self.story.seconds()) < until:
            self.end_limits()
            if now >= next_change:
                self.stage.change_health()
                next_change = now + self.stage.random.uniform(1, 5)
            if now >= next_reload:
                self.stage.reload()
                next_reload = now + RELOADS
            if now >= next_look:
                self.look()
                next_look = now + LOOKS
            time.sleep(0.05)

    def end_limits(self) -> None:
        """Those that were said."""
        for receiver in self.stage.receivers.values():
            if receiver.only and any(post.way == receiver.only.name for post in list(receiver.posts)):
                receiver.only = None

    def look(self) -> None:
        """All counters fit together, and what the processes take is noted."""
        with self.stage.quiet():
            seen = self.stage.child.look(self.stage.differences)
            self.story.looks += 1
            self.stage.note_wrong(f"look {self.story.looks}", seen.differences)
            self.check_count(seen)
            self.story.differences += self.stage.daemon.differences()
            self.stage.take_samples()

    def check_count(self, seen: Snapshot) -> None:
        """What a tunnel tells of its projects is what its counters tell of all of them."""
        projects = json.loads(self.stage.varnishd.request("/count").body)["front"]["projects"].values()
        told = sum(project["delivery"]["captured"] for project in projects if "delivery" in project)
        if told != seen.views["front"].ledger["captured"]:
            self.story.differences.append(f"the projects of front tell of {told}: {seen.views['front'].ledger}")

    # The end.

    def end_well(self) -> None:
        """Sentry takes everything again: all that waits arrives, all that was denied is over."""
        stage = self.stage
        stage.choice.only = GOOD
        for receiver in stage.receivers.values():
            receiver.only = None
            receiver.listen()
        for origin in stage.origins.values():
            origin.is_ill = False
        begin = self.story.seconds()
        try:
            wait.until(self.is_empty, "all is sent", 150)
            self.story.drained = self.story.seconds() - begin
        except TimeoutError as late:
            self.story.differences.append(f"{late}: {stage.varnishd.request('/status').body}")
        seen = stage.child.look(stage.differences)
        self.close_accounts("at the end", seen, self.disks())
        self.story.differences += stage.accounts.end(stage.receivers)
        for name, view in seen.views.items():
            if view.ledger["requests"] != sum(view.ledger[outcome] for outcome in OUTCOMES):
                self.story.differences.append(f"{name}: requests and what came of them: {view.ledger}")
        self.check_the_rest()
        self.restart()

    def is_empty(self) -> bool:
        ledgers = [view.ledger for view in self.stage.child.read().views.values()]
        return self.stage.daemon.is_empty() and not any(ledger[gauge] for ledger in ledgers for gauge in ("queue_events", "spool_events", "sending"))

    def check_the_rest(self) -> None:
        stage, differences = self.stage, self.story.differences
        left = [path for folder in stage.folders.values() for path in folder.glob("*/*.entry*")]
        differences += [f"{len(left)} files are left in spools"] if left else []
        differences += [f"the counter {name} is there twice" for name in sorted(stage.child.twice)[:3]]
        killed = sum(number for how, number in self.story.ends.items() if how.startswith("killed"))
        counters = stage.varnishd.counters()
        if (counters["MGT.child_died"], counters["MGT.child_panic"]) != (killed, 0):
            differences.append(f"{killed} children were killed, {counters['MGT.child_died']} died, {counters['MGT.child_panic']} of a panic")
        self.story.panics += counters["MGT.child_panic"]
        # One may be, of as many as were killed so; more are no chance.
        differences += self.story.half_way[1:]
        for visitor in stage.visitors:
            differences += visitor.wrong
        try:
            wait.until(self.is_well, "nothing is denied any more")
        except TimeoutError as late:
            differences.append(str(late))

    def restart(self) -> None:
        """varnishd as a whole ends as by a loss of power, and another one starts, in whose log the daemon finds the next event."""
        stage, daemon = self.stage, self.stage.daemon
        stage.varnishd.kill()
        stage.varnishd.start()
        self.story.differences += daemon.follow(stage.varnishd.child())
        found = daemon.found("failure")
        stage.varnishd.request("/fail")
        try:
            wait.until(lambda: daemon.found("failure") > found and daemon.is_empty(), "the daemon finds and sends an event of another varnishd")
        except TimeoutError as late:
            self.story.differences.append(f"{late}: {daemon.worker()}")
        killed = sum(number for how, number in self.story.ends.items() if how.startswith("killed"))
        failures = sum(len(stage.times.seconds.get(f"failed_vcl/{protocol}", [])) for protocol in VISITORS)
        self.story.differences += daemon.end(killed, failures + 1, self.unwritten, stage.accounts.sums["default"]["torn"])

    def is_well(self) -> bool:
        return not re.search(r'"live": *[1-9]', self.stage.varnishd.request("/report").body)
