# SPDX-License-Identifier: BSD-2-Clause
"""What is known of the calls of one child's life: those that an answer told, and those that an answer may have told that
did not come.

A VCL tells each call that it makes, in a header or a body: ` client/kind=id`, without an id where nobody is told one,
` client/kind=~` for what is captured at the end of the task.

What a tunnel is brought are items that say what they are called, and for how many they count: `id/2`, or `id/0` for what
counts in bytes. Each is a call of the client behind the tunnel, if the tunnel accepted it.
"""

import collections
import re
import threading
from collections.abc import Iterable

TOKEN = re.compile(r"(\w+)/(\w+)=([0-9a-f]{32}|~)?")
# As many as a visit may make.
CALLS_OF_A_VISIT = 12


def weight(ids: Iterable[str]) -> int:
    """For how many these count."""
    return sum(int(id.partition("/")[2] or 1) for id in ids)


class Book:
    def __init__(self) -> None:
        self.calls: collections.Counter[str] = collections.Counter()
        # Captures whose id nobody is told.
        self.silent: collections.Counter[str] = collections.Counter()
        self.ids: dict[str, set[str]] = collections.defaultdict(set)
        # What became of the requests to each tunnel, by the counter for it.
        self.reports: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
        # Calls that must be errors, and nothing else.
        self.errors = 0
        # Visits that had no answer: each has made any number of calls.
        self.torn = 0
        self._lock = threading.Lock()

    def read(self, told: str) -> int:
        """Notes the calls that a text tells; returns how many they are."""
        found = TOKEN.findall(told)
        with self._lock:
            for client, kind, id in found:
                self._note(client, kind, id)
        return len(found)

    def _note(self, client: str, kind: str, id: str) -> None:
        if kind == "nothing":
            self.errors += 1
            return
        self.calls[client] += 1
        if id == "~":
            self.silent[client] += 1
        elif id:
            self.ids[client].add(id)

    def report(self, tunnel: str, counter: str, ids: Iterable[str]) -> None:
        """Notes a request to a tunnel that was answered."""
        with self._lock:
            self.reports[tunnel][counter] += 1
            if not counter.startswith("refused_"):
                self.ids[tunnel].update(ids)
                self.calls[tunnel] += weight(ids)

    def add_silent(self, client: str, number: int = 1) -> None:
        """Notes what the module does by itself."""
        with self._lock:
            self.calls[client] += number
            self.silent[client] += number

    def tear(self) -> None:
        """Notes a visit without an answer."""
        with self._lock:
            self.torn += 1

    def most(self, client: str) -> int:
        """The most calls that this client may have had."""
        return self.calls[client] + self.torn * CALLS_OF_A_VISIT
