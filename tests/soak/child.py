# SPDX-License-Identifier: BSD-2-Clause
"""A child of varnishd at one time: its counters, what is in its spools, and how far its servers were then.

A child that lives is read again and again until its figures fit together, as nothing holds it meanwhile: to stop it would
interrupt its reads, some of which varnishd asserts to be never interrupted. A child that has ended is read once.
"""

import dataclasses
import os
import re
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from e2e import wait
from e2e.accounting import Ledger, counters_of
from e2e.misbehaving import PART, Misbehaving
from e2e.varnishd import Varnishd

from . import held
from .site import CLIENTS

# How long it may take until all figures of a client fit together.
PATIENCE = 60
# How long the module has at the end of its process; see the manual.
LAST_SECONDS = 2


@dataclasses.dataclass
class View:
    """One client at one time; its server had that many posts before and after."""

    ledger: Ledger
    before: int
    after: int

    def in_memory(self) -> int:
        """How many events the end of the child would take."""
        return self.ledger["queue_events"] + self.ledger["sending"]


@dataclasses.dataclass
class Snapshot:
    views: dict[str, View]
    counters: dict[str, int]
    # What is wrong with it, by client.
    differences: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    # What was in memory has not had the time to get to the disk.
    is_cut_off: bool = False


def state(pid: int) -> str:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def on_disk(folder: Path) -> set[str]:
    """The ids of the events in a spool, or those of a tunnel's items, which say theirs themselves."""
    found = set()
    for path in folder.glob("*/*.entry"):
        found.update([part.decode() for part in PART.findall(path.read_bytes())] or [path.name.split("-")[1]])
    return found


class Child:
    """The child that runs now."""

    def __init__(self, varnishd: Varnishd, receivers: Mapping[str, Misbehaving]) -> None:
        self.varnishd, self.receivers = varnishd, receivers
        self.pid = varnishd.child()
        # Counters with the same name.
        self.twice: set[str] = set()

    def read(self) -> Snapshot:
        before = self.posts()
        counters, twice = counters_of(self.varnishd, "*SENTRY.*", "SENTRY_TUNNEL.*", "*SAINTMODE.*")
        after = self.posts()
        self.twice |= twice
        return self.snapshot(counters, before, after)

    @staticmethod
    def snapshot(counters: dict[str, int], before: dict[str, int], after: dict[str, int]) -> Snapshot:
        names = [client.name for client in CLIENTS]
        return Snapshot({name: View(Ledger(counters, name), before[name], after[name]) for name in names}, counters)

    def posts(self) -> dict[str, int]:
        """How far each server is."""
        return {name: len(receiver.posts) for name, receiver in self.receivers.items()}

    def look(self, differences: Callable[[Snapshot], dict[str, list[str]]]) -> Snapshot:
        """Each client at a time when nothing differs, if there is one; the rest of the counters are of the last of these."""
        deadline = time.monotonic() + PATIENCE
        fitting: dict[str, View] = {}
        while True:
            seen = self.read()
            seen.differences = differences(seen)
            for name, view in seen.views.items():
                if not seen.differences.get(name):
                    fitting.setdefault(name, view)
            seen.differences = {name: found for name, found in seen.differences.items() if name not in fitting}
            if not seen.differences or time.monotonic() > deadline:
                seen.views |= fitting
                return seen
            time.sleep(0.02)

    def kill(self, and_before: Callable[[], None]) -> Snapshot:
        """Ends it by SIGKILL; `and_before` is done when it does nothing any more. How it was in the end."""
        read = self.hold()
        os.kill(self.pid, signal.SIGSTOP)
        wait.until(lambda: state(self.pid) == "T", "the child stops", 10)
        posts = self.posts()
        and_before()
        os.kill(self.pid, signal.SIGKILL)
        seen = self.snapshot(read(), posts, posts)
        seen.is_cut_off = True
        return seen

    def stop(self) -> Snapshot:
        """Ends it as an operator does, who starts another one later. How it was in the end."""
        read = self.hold()
        begin = time.monotonic()
        self.varnishd.adm("stop")
        took = time.monotonic() - begin
        wait.until(lambda: "stopped" in self.varnishd.adm("status"), "the child has stopped")
        posts = self.posts()
        seen = self.snapshot(read(), posts, posts)
        seen.is_cut_off = took >= LAST_SECONDS
        return seen

    def hear_servers_out(self) -> None:
        """Waits until they have said what they make of all that they got of a child that is gone, or waits for nothing."""
        now = [(receiver, set(receiver.under_way)) for receiver in self.receivers.values()]
        wait.until(lambda: not any(receiver.under_way & then for receiver, then in now), "the servers have said all", PATIENCE)

    def hold(self) -> Callable[[], dict[str, int]]:
        return held.hold(self.varnishd.folder / "work", lambda name: re.match("(VMOD_)?(SENTRY|SAINTMODE)", name) is not None)
