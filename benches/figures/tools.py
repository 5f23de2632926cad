# SPDX-License-Identifier: BSD-2-Clause
"""What the figures are measured with: the Rust programs, a client, CPU time of threads, medians."""

import os
import socket
import statistics
import subprocess
from collections.abc import Iterable
from pathlib import Path

from e2e import ROOT

from .sample import HEADERS, TARGET

# In the quick form a third of the rounds.
is_quick = False

PROGRAMS = ROOT / os.environ.get("CARGO_TARGET_DIR", "target") / "bench" / "release"


def rounds(number: int) -> int:
    """How many rounds there are where the full form has so many."""
    return max(3, number // 3) if is_quick else number


def build() -> None:
    """Builds the Rust programs, in a target folder of their own."""
    command = ["cargo", "build", "--release", "--manifest-path", str(ROOT / "benches" / "Cargo.toml")]
    subprocess.run([*command, "--target-dir", str(PROGRAMS.parent)], check=True)


def run(program: str, *arguments: object) -> list[list[float]]:
    """Runs a program to its end; the numbers on each of its lines."""
    words = [str(PROGRAMS / program), *map(str, arguments)]
    done = subprocess.run(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True, timeout=300)
    return [[float(word) for word in line.split()] for line in done.stdout.splitlines()]


def start(program: str, *arguments: object) -> subprocess.Popen[str]:
    """Starts a program that ends by itself."""
    words = [str(PROGRAMS / program), *map(str, arguments)]
    return subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)


class Sink:
    """The server that events are sent to: see src/bin/bench-sink.rs. Use as a context manager."""

    def __enter__(self) -> "Sink":
        program = [str(PROGRAMS / "bench-sink")]
        self._process = subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin
        self._process.stdin.close()
        self._process.wait(10)

    def tell(self, line: str) -> list[int]:
        """Tells it what to do, or asks for numbers."""
        assert self._process.stdin and self._process.stdout
        self._process.stdin.write(line + "\n")
        self._process.stdin.flush()
        return [int(word) for word in self._process.stdout.readline().split()]


class Client:
    """One connection that makes the sample request again and again."""

    def __init__(self, port: int):
        self._socket = socket.create_connection(("127.0.0.1", port), 60)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._head = "".join(f"{name}: {value}\r\n" for name, value in HEADERS.items())
        self._received = b""

    def ask(self, method: str = "GET", times: int = 1, target: str = TARGET) -> None:
        """Makes so many requests, one after the other; all of them must be answered with 200."""
        request = f"{method} {target} HTTP/1.1\r\n{self._head}\r\n".encode()
        for _ in range(times):
            self._socket.sendall(request)
            self._answer()

    def _answer(self) -> None:
        while b"\r\n\r\n" not in self._received:
            self._receive()
        head, _, self._received = self._received.partition(b"\r\n\r\n")
        lines = head.decode().lower().split("\r\n")
        if not lines[0].startswith("http/1.1 200"):
            raise RuntimeError(f"answered {lines[0]}")
        length = int(dict(line.split(": ", 1) for line in lines[1:])["content-length"])
        while len(self._received) < length:
            self._receive()
        self._received = self._received[length:]

    def _receive(self) -> None:
        more = self._socket.recv(65536)
        if not more:
            raise RuntimeError("the server closed the connection")
        self._received += more


def threads_cpu(pid: int, name: str = "") -> int:
    """CPU time in ns of a process's threads, all or those of that name, as the scheduler counts it."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            if name in ("", (task / "comm").read_text().strip()):
                total += int((task / "schedstat").read_text().split()[0])
        except OSError:
            pass  # It has just ended.
    return total


def spread(values: Iterable[float], digits: int = 0) -> str:
    """The median, and between which two the middle half of the values is."""
    low, middle, high = statistics.quantiles(values, n=4)
    return f"{middle:.{digits}f} ({low:.{digits}f}–{high:.{digits}f})"
