# SPDX-License-Identifier: BSD-2-Clause
"""The same calls in instructions, which no other load of the machine changes: a varnishd under callgrind."""

import os
import tempfile
from collections import Counter
from contextlib import ExitStack
from pathlib import Path

from e2e.varnishd import Varnishd

from . import Figure
from .sample import PARAMETERS, dsn, freely, vcl
from .tools import Client, Sink

# Stands in for varnishd: valgrind does not follow an exec, so the C compiler runs as fast as ever.
WRAPPER = """#!/bin/sh
PATH=${PATH#*:}
exec valgrind -q --tool=callgrind --separate-threads=yes --callgrind-out-file=%s/profile.%%p "$(command -v varnishd)" -j none "$@"
"""
# A tunnel that nothing comes through is to cost nothing either.
HITS = """vcl 4.1;
import sentry;
backend origin {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_init {{ new t = sentry.tunnel("http://key@127.0.0.1:{port}/42"); }}
sub vcl_recv {{ return (hash); }}
sub vcl_backend_response {{ set beresp.ttl = 1d; }}
"""
# varnishd loads copies of modules, under names of its own: `_vmod_sentry.` and a checksum.
MODULE, STANDARD = "_vmod_sentry", "_vmod_std"
CAPTURE = "vmod_capture"
ALLOCATORS = ("malloc", "calloc", "realloc", "posix_memalign", "aligned_alloc")


def module(path: str) -> str:
    return Path(path).name.partition(".")[0]


class Profile:
    """What the child of a varnishd did, from its start to its end."""

    def __init__(self, text: str, method: str, requests: int):
        with tempfile.TemporaryDirectory(prefix="profile-") as folder:
            wrapper = Path(folder) / "varnishd"
            wrapper.write_text(WRAPPER % folder)
            wrapper.chmod(0o755)
            path = {"PATH": f"{folder}:{os.environ['PATH']}"}
            with Varnishd(text, parameters=PARAMETERS | {"cli_timeout": "120"}, environment=path) as varnishd:
                pid = varnishd.child()
                Client(varnishd.port).ask(method, requests)
                varnishd.adm("stop")
            # Instructions of a module; calls of a function, and what they cost.
            self.of_module, self.calls, self.cost = Counter(), Counter(), Counter()
            # Calls of the allocator from the module's code, by the threads that capture.
            self.allocations = 0
            for thread in Path(folder).glob(f"profile.{pid}-*"):
                self._read(thread.read_text())

    def _read(self, text: str) -> None:
        """Reads what one thread did. Callgrind's format: names are given once and numbered, a call is a line `calls=` with one of
        what it cost in all behind it, every other line of numbers is what a function cost by itself."""
        names: dict[str, str] = {}
        at = {"fn": "", "ob": "", "cfn": "", "cob": ""}
        captures = called = allocations = 0
        for line in text.splitlines():
            key, equals, value = line.partition("=")
            if key in ("fn", "ob", "cfn", "cob"):
                number, _, name = value.partition(" ")
                number = f"{key[-2:]}{number}"
                at[key] = names.setdefault(number, name)
                if key in ("fn", "ob"):
                    at["cob"] = at["ob"]
            elif key == "calls":
                called = int(value.split()[0])
            elif line and line[0] in "+-*0123456789":
                cost = int(line.split()[1])
                if called:
                    self.calls[at["cfn"]] += called
                    self.cost[at["cfn"]] += cost
                    captures += called if at["cfn"] == CAPTURE else 0
                    allocations += called if at["cfn"] in ALLOCATORS and module(at["ob"]) == MODULE else 0
                    called = 0
                else:
                    self.of_module[module(at["ob"])] += cost
        self.allocations += allocations if captures else 0

    def per_call(self, function: str) -> float:
        """Instructions per call, all that it calls included."""
        return self.cost[function] / self.calls[function]


def figures() -> list[Figure]:
    with ExitStack() as stack:
        sink, stalled = stack.enter_context(Sink()), stack.enter_context(Sink())
        stalled.tell("stall")
        free = vcl(freely(stalled.port))
        # As many requests, each of which sets its tags: their captures alone differ.
        few, many = Profile(free, "CAPTURE", 3), Profile(free, "MANY", 3)
        init = f'sentry.init("{dsn(stalled.port)}", throttle = 1, window = 86400s); sentry.server(shutdown_timeout = 0s);'
        throttled = Profile(vcl(init), "MANY", 3)
        off = Profile(vcl(""), "MANY", 3)
        empty = Profile(vcl(""), "EMPTY", 3)
        some, more = (Profile(HITS.format(port=sink.port), "GET", n) for n in (100, 1100))
    allocations = (many.allocations - few.allocations) / (3 * (1000 - 100))
    instructions = [profile.per_call(CAPTURE) for profile in (many, throttled, off)]
    # The server's own modules come without names.
    instructions.append(empty.of_module[STANDARD] / 3000)
    names = ("capture, instructions", "throttled, instructions", "no DSN, instructions", "empty call, instructions")
    ours = more.of_module[MODULE] - some.of_module[MODULE]
    all_of_it = more.of_module.total() - some.of_module.total()
    return [
        Figure("heap allocations per capture in varnishd", f"{allocations:.2f}", "≤ 2", 0 < allocations <= 2, {"allocations": allocations}),
        Figure("instructions of a capture · throttled · with no DSN · an empty VMOD call", " · ".join(f"{n:.0f}" for n in instructions), data=dict(zip(names, instructions))),
        Figure("1000 cache hits, module imported and never called: instructions of ours", f"{ours} of {all_of_it}", "0", ours == 0 < all_of_it, {"1000 hits, instructions of ours": ours, "1000 hits, instructions": all_of_it}),
    ]
