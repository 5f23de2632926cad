# SPDX-License-Identifier: BSD-2-Clause
"""All that runs: servers that play Sentry, origins, varnishd with its VCLs, those who visit it; and what is noted of it."""

import collections
import contextlib
import dataclasses
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator

from e2e import wait
from e2e.daemon import Daemon
from e2e.misbehaving import Choice, Misbehaving, bound
from e2e.varnishd import Varnishd, folder_for_child
from e2e.ways import WAYS

from . import reports, site, usage, visits
from .accounts import Accounts, tunnel_counters
from .beside import CONFIG, Beside
from .book import Book
from .child import Child, Snapshot
from .origin import Origin

SERVER = "connections = 2, connect_timeout = 1s, timeout = 2s, shutdown_timeout = 2s"
# How many visitors there are with each protocol.
VISITORS = {1: 6, 2: 3}
PARAMETERS = {
    "feature": "+http2",
    # As many threads as there are, so that one more is somebody's.
    "thread_pool_min": "40",
    "thread_pool_max": "40",
    "timeout_idle": "120",
    "debug": "+vclrel",
}
GOOD = WAYS[0]


@dataclasses.dataclass
class Story:
    """What happened, for the page."""

    begin: float = dataclasses.field(default_factory=time.monotonic)
    ends: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    reloads: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    looks: int = 0
    # How long the last event took to arrive after traffic and trouble had ended.
    drained: float = 0
    # Of each process, while a child lives long.
    samples: dict[str, list[usage.Sample]] = dataclasses.field(default_factory=lambda: collections.defaultdict(list))
    differences: list[str] = dataclasses.field(default_factory=list)
    # Counters of children that were killed while a thread was between two of them.
    half_way: list[str] = dataclasses.field(default_factory=list)
    panics: int = 0
    saintmode: collections.Counter[str] = dataclasses.field(default_factory=collections.Counter)
    # What became of the requests to each tunnel.
    reports: dict[str, collections.Counter[str]] = dataclasses.field(default_factory=lambda: collections.defaultdict(collections.Counter))

    def seconds(self) -> float:
        return time.monotonic() - self.begin


class Stage:
    """Use as a context manager."""

    def __init__(self, seed: int, environment: dict[str, str] | None = None, parameters: dict[str, str] | None = None) -> None:
        self.environment, self.parameters = environment or {}, PARAMETERS | (parameters or {})
        self.random = random.Random(seed)
        self.choice = Choice(WAYS, GOOD, seed)
        self.times = visits.Times()
        self.accounts = Accounts()
        self.story = Story()
        # Visits may be without an answer while it is set.
        self.is_upset = threading.Event()
        # Processes whose use of the machine is watched besides the child's, by name.
        self.beside: dict[str, int] = {}
        self._vcls = 0

    def __enter__(self) -> "Stage":
        with contextlib.ExitStack() as stack:
            names = [*(client.name for client in site.CLIENTS), "daemon"]
            self.receivers = {name: stack.enter_context(Misbehaving(self.choice)) for name in names}
            self.origins = {name: stack.enter_context(Origin()) for name in ("one", "two", "web")}
            self.folders = {client.name: stack.enter_context(folder_for_child()) for client in site.CLIENTS if client.has_spool}
            gone = stack.enter_context(bound(0))
            self.settings: dict[str, object] = {
                "comment": "the first one",
                "environment": "first",
                "events": 200,
                "server": SERVER,
                "state_dir": stack.enter_context(folder_for_child()),
                "gone": gone.getsockname()[1],
                **{name: origin.port for name, origin in self.origins.items()},
                **{name: receiver.dsn(1) for name, receiver in self.receivers.items()},
                **{f"{name}_folder": folder for name, folder in self.folders.items()},
                "front": ", ".join(self.receivers["front"].dsn(project) for project in reports.PROJECTS),
                "window": "1s",
            }
            for receiver in self.receivers.values():
                receiver.listen()
            self.varnishd = stack.enter_context(Varnishd(site.vcl(**self.settings), parameters=self.parameters, environment=self.environment))
            config = CONFIG.format(dsn=self.receivers["daemon"].dsn(1), folder=stack.enter_context(tempfile.TemporaryDirectory()))
            daemon = stack.enter_context(Daemon(self.varnishd, config))
            self.daemon = Beside(daemon, self.receivers["daemon"])
            self.beside["daemon"] = daemon.pid()
            self.vcl = "boot"
            self.visitors = [
                visits.Visitor(visits.VISITS + reports.VISITS, self.varnishd.port, protocol, self.random.getrandbits(32), self.times, self.is_upset)
                for protocol, number in VISITORS.items()
                for _ in range(number)
            ]
            self.begin_life(is_after_death=False)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def begin_life(self, is_after_death: bool) -> None:
        """Another child runs; nobody visits it yet."""
        self.child = Child(self.varnishd, self.receivers)
        self.book = Book()
        # The client tells of the start, and of the death before.
        self.book.add_silent("default", 1 + is_after_death)
        for visitor in self.visitors:
            # Its connection was to the child before.
            visitor.hang_up()
            visitor.book = self.book
        self.story.differences += self.daemon.follow(self.child.pid)

    @contextlib.contextmanager
    def quiet(self) -> Iterator[None]:
        """No visit is under way in the block."""
        for visitor in self.visitors:
            visitor.busy.acquire()
        try:
            yield
        finally:
            for visitor in self.visitors:
                visitor.busy.release()

    @contextlib.contextmanager
    def traffic(self) -> Iterator[None]:
        """Visits are made from the beginning of the block to its end."""
        for visitor in self.visitors:
            visitor.start()
        try:
            yield
        finally:
            for visitor in self.visitors:
                visitor.stopping.set()
            for visitor in self.visitors:
                visitor.join()

    def reload(self) -> None:
        """Another VCL in place of the one before: with equal settings, then with others."""
        self._vcls += 1
        is_equal = self._vcls % 2 == 1
        self.story.reloads["equal" if is_equal else "changed"] += 1
        if is_equal:
            self.settings["comment"] = f"number {self._vcls}"
        else:
            self.settings["environment"] = self.random.choice(("first", "second", "third"))
            self.settings["events"] = self.random.choice((40, 200, 500))
            self.settings["plain"] = self.receivers["plain"].dsn(self.random.randrange(1, 4))
            self.settings["small"] = self.receivers["small"].dsn(self.random.randrange(1, 3))
            self.settings["window"] = self.random.choice(("1s", "2s"))
        name, old = f"vcl{self._vcls}", self.vcl
        self.varnishd.use_vcl(site.vcl(**self.settings), name)
        # Each tells of its load, and of its end, at which it makes a call.
        self.book.add_silent("default")
        self.note_saintmode(self.varnishd.counters())
        self.varnishd.adm("vcl.discard", old)
        self.vcl = name
        loaded = re.compile(r"\S+$", re.M)
        wait.until(lambda: loaded.findall(self.varnishd.adm("vcl.list")) == [name], f"{old} has gone")
        self.book.add_silent("default")
        self.book.add_silent("plain")

    def change_health(self) -> None:
        """One origin's shop falls ill, or both are well."""
        for origin in self.origins.values():
            origin.is_ill = False
        if self.random.random() < 0.6:
            self.origins[self.random.choice(("one", "two"))].is_ill = True

    def differences(self, seen: Snapshot) -> dict[str, list[str]]:
        return self.accounts.differences(seen, self.book)

    def note_wrong(self, when: str, differences: dict[str, list[str]]) -> None:
        self.story.differences += [f"{when}, {name}: {text}" for name, texts in differences.items() for text in texts]

    def note_counters(self, counters: dict[str, int]) -> None:
        """At the end of a life: what must not be, and what saint mode and the tunnels did."""
        self.story.panics += sum(value for name, value in counters.items() if name.endswith("panics"))
        for tunnel in site.TUNNELS:
            self.story.reports[tunnel.name].update(tunnel_counters(counters, tunnel.name))
        self.note_saintmode(counters)

    def note_saintmode(self, counters: dict[str, int]) -> None:
        """The counters of the VCL that is now go with it."""
        for name, value in counters.items():
            if name.startswith(f"SAINTMODE.{self.vcl}."):
                self.story.saintmode[name.rpartition(".")[2]] += value

    def take_samples(self) -> None:
        ports = {receiver.port: "sockets to Sentry" for receiver in self.receivers.values()}
        ports |= {origin.port: "sockets to origins" for origin in self.origins.values()}
        ports |= {self.varnishd.port: "sockets of clients"}
        for name, pid in {"child": self.child.pid, **self.beside}.items():
            self.story.samples[name].append(usage.sample(pid, self.story.seconds(), ports))
