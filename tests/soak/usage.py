# SPDX-License-Identifier: BSD-2-Clause
"""What a process takes of the machine over time, and whether it grows."""

import collections
import contextlib
import dataclasses
import os
import re
from pathlib import Path

# What may be there more in the end than ever was in the beginning: of memory in KB, of the others in pieces.
MEMORY = 8 * 1024
PIECES = 4
# With fewer samples nothing can be told.
LEAST = 9


@dataclasses.dataclass
class Sample:
    seconds: float
    # Of its own, in KB: the log's segment is a file, which comes in as it is written.
    memory: int
    threads: collections.Counter[str]
    # Files, pipes, sockets by whom they lead to.
    descriptors: collections.Counter[str]


def sample(pid: int, seconds: float, ports: dict[int, str]) -> Sample:
    """A sample of the process; `ports` are what the ports of sockets are called."""
    memory = re.search(r"^RssAnon:\s+(\d+)", Path(f"/proc/{pid}/status").read_text(), re.M)
    threads: collections.Counter[str] = collections.Counter()
    for task in Path(f"/proc/{pid}/task").iterdir():
        # One that ends meanwhile is none.
        with contextlib.suppress(OSError):
            threads[thread_kind((task / "comm").read_text().strip())] += 1
    sockets = socket_kinds(pid, ports)
    descriptors: collections.Counter[str] = collections.Counter()
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            descriptors[descriptor_kind(os.readlink(link), sockets)] += 1
    return Sample(seconds, int(memory[1]) if memory else 0, threads, descriptors)


def thread_kind(name: str) -> str:
    return "threads of ours" if name.startswith("vmod-sentry") else "other threads"


def descriptor_kind(target: str, sockets: dict[str, str]) -> str:
    inode = re.fullmatch(r"socket:\[(\d+)\]", target)
    if inode:
        return sockets.get(inode[1], "other sockets")
    return "files" if target.startswith("/") else "pipes and so on"


def socket_kinds(pid: int, ports: dict[int, str]) -> dict[str, str]:
    """What each socket is for, by its inode."""
    found = {}
    for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]:
        words = line.split()
        local, remote = (int(address.rpartition(":")[2], 16) for address in words[1:3])
        found[words[9]] = ports.get(remote) or ports.get(local) or "other sockets"
    return found


@dataclasses.dataclass
class Course:
    """One figure over time."""

    name: str
    unit: str
    allowed: int
    values: list[int]

    def growth(self) -> int:
        """By how much the least of the last third is above the most of the first."""
        third = len(self.values) // 3
        return max(0, min(self.values[-third:]) - max(self.values[:third]))

    def grows(self) -> bool:
        return len(self.values) >= LEAST and self.growth() > self.allowed

    def __str__(self) -> str:
        third = max(1, len(self.values) // 3)
        parts = (self.values[:third], self.values[third:-third] or self.values[-third:], self.values[-third:])
        told = "   ".join(f"{min(part)} to {max(part)}" for part in parts)
        return f"{self.name:<28}{told} {self.unit}".rstrip()


def courses(samples: list[Sample]) -> list[Course]:
    """All figures of these samples."""
    found = [Course("memory", "KB", MEMORY, [sample.memory for sample in samples])]
    for counts in ([sample.threads for sample in samples], [sample.descriptors for sample in samples]):
        for name in sorted(set().union(*counts)):
            found.append(Course(name, "", PIECES, [count[name] for count in counts]))
    return found
