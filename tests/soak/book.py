# SPDX-License-Identifier: BSD-2-Clause
"""What is known of the calls of one child's life: those that an answer told, and those that an answer may have told that
did not come.

A VCL tells each call that it makes, in a header or a body: ` client/kind=id`, without an id where nobody is told one,
` client/kind=~` for what is captured at the end of the task.
"""

import collections
import re
import threading

TOKEN = re.compile(r"(\w+)/(\w+)=([0-9a-f]{32}|~)?")
# As many as a visit may make.
CALLS_OF_A_VISIT = 12


class Book:
    def __init__(self) -> None:
        self.calls: collections.Counter[str] = collections.Counter()
        # Captures whose id nobody is told.
        self.silent: collections.Counter[str] = collections.Counter()
        self.ids: dict[str, set[str]] = collections.defaultdict(set)
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
