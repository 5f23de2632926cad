# SPDX-License-Identifier: BSD-2-Clause
"""The daemon beside it all: it lives on whatever becomes of the children, finds each failure in their logs or says that it has
lost something, and accounts for its events by its own status."""

import time
from typing import Any

from e2e import wait
from e2e.daemon import Daemon
from e2e.misbehaving import Misbehaving

from .accounts import answered
from .child import PATIENCE

CONFIG = """
dsn = "{dsn}"
throttle = 0
max_rate = 5
[server]
connections = 2
connect_timeout = "1s"
timeout = "2s"
[queue]
events = 50
[spool]
folder = "{folder}"
bytes = "1MB"
[lifecycle]
events = "start, death"
[[filters.VCL_Log]]
regexp = "^failure on demand"
name = "failure"
# Above all else that such a request has in the log.
level = "fatal"
"""


class Beside:
    """The daemon, and the server that it sends to."""

    def __init__(self, daemon: Daemon, receiver: Misbehaving) -> None:
        self.daemon, self.receiver = daemon, receiver
        # The children whose log it was seen to read; the first one ran before it.
        self.children: set[int] = set()
        # How it was in the end.
        self.last: dict[str, Any] = {}

    def worker(self) -> dict[str, Any]:
        return self.daemon.status()["workers"][0]

    def found(self, filter: str) -> int:
        return self.worker()["found"].get(filter, 0)

    def is_empty(self) -> bool:
        """Whether nothing waits."""
        return not account(self.worker())["waiting"]

    def follow(self, child: int) -> list[str]:
        """Waits until it reads that child's log; what is wrong if it does not."""

        def reads() -> bool:
            worker = self.worker()
            return worker["reading"] and (worker["child"] or {}).get("pid") == child

        try:
            wait.until(reads, f"the daemon reads the log of child {child}", PATIENCE)
        except TimeoutError as late:
            return [f"{late}: {self.worker()}"]
        self.children.add(child)
        return []

    def differences(self) -> list[str]:
        """What does not add up at any time within a while: what was found has to be captured or refused, what was captured
        has to be somewhere."""
        deadline = time.monotonic() + PATIENCE
        while True:
            worker = self.worker()
            sums = account(worker)
            came, went = sums["captured"], sums["sent"] + sums["dropped"] + sums["waiting"]
            if sums["found"] == came + sums["refused"] and came == went:
                return []
            if time.monotonic() > deadline:
                return [f"daemon: found, captured, sent and so on do not add up: {sums}, {worker}"]
            time.sleep(0.02)

    def end(self, killed: int, failures: int, unwritten: int, torn: int) -> list[str]:
        """What differs when nothing waits any more; so many children have died, so many failures were seen, of which some were
        written to no log, and as many visits may have seen one that had no answer."""
        found = self.differences()
        worker = self.last = self.worker()
        sums = account(worker)
        for name, (least, most) in answered(self.receiver.posts).items():
            value = sums["sent"] if name == "sent" else worker["client"]["dropped"][name.removeprefix("dropped_")]
            if not least <= value <= most:
                found.append(f"daemon: {name} {value}, the server says {least} to {most}: {worker}")
        lifecycle = [worker["found"].get(name, 0) for name in ("child_death", "child_start")]
        starts = len(self.children) - 1
        if lifecycle != [killed, starts]:
            found.append(f"daemon: deaths and starts {lifecycle} of {killed} and {starts}: {worker}")
        least, most = 0 if any(worker["lost"].values()) else failures - unwritten, failures + torn
        if not least <= worker["found"].get("failure", 0) <= most:
            found.append(f"daemon: not all of {least} to {most} failures are found: {worker}")
        if worker["panics"]:
            found.append(f"daemon: {worker['panics']} panics")
        return found + [f"daemon's server: {complaint}" for complaint in self.receiver.complaints]


def account(worker: dict[str, Any]) -> dict[str, int]:
    """What became of all that it has found."""
    client = worker["client"]
    return {
        "found": sum(worker["found"].values()),
        "refused": sum(client["refused"].values()),
        "captured": client["captured"],
        "sent": client["sent"],
        "dropped": sum(client["dropped"].values()),
        "waiting": client["queue"]["events"] + client["queue"]["sending"] + client["spool"]["events"],
    }
