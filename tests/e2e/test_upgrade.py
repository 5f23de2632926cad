# SPDX-License-Identifier: BSD-2-Clause
"""A new release of the module beside the old one in the same process, and how the service is stopped."""

import os
import re
import shutil
import signal
import unittest
from pathlib import Path

from . import BUILD, wait
from .receiver import Receiver
from .varnishd import Varnishd

VCL = """
vcl 4.1;

import sentry from "{module}";

backend none none;

sub vcl_init {{
    sentry.init("{dsn}", release = "{release}", throttle = 0);
}}

sub vcl_recv {{
    return (synth(200));
}}

sub vcl_synth {{
    set resp.http.X-Event-Id = sentry.capture("asked for {{1}}", p1 = req.url);
}}
"""


def another_release(source: Path, target: Path) -> None:
    """Copies a module so that the server takes it for another one: under a file_id of its own."""
    module = source.read_bytes()
    ids = set(re.findall(rb"(?<![0-9a-f])[0-9a-f]{64}(?![0-9a-f])", module))
    assert len(ids) == 1, f"one file_id expected in {source}, found {len(ids)}"
    target.write_bytes(module.replace(ids.pop(), b"0123456789abcdef" * 4))
    target.chmod(0o755)


class Upgrade(unittest.TestCase):
    def test_two_releases_live_in_one_process_and_the_old_one_drains(self) -> None:
        with Receiver(delay=0.2) as receiver, Varnishd("vcl 4.1; backend none none;") as varnishd:
            old, new = varnishd.folder / "old.so", varnishd.folder / "new.so"
            shutil.copy(BUILD / "libvmod_sentry.so", old)
            another_release(old, new)
            child = varnishd.child()

            def use(name: str, module: Path) -> None:
                vcl = VCL.format(module=module, dsn=receiver.dsn, release=name)
                varnishd.use_vcl(vcl, name)

            def copies() -> int:
                maps = Path(f"/proc/{child}/maps").read_text()
                return len(set(re.findall(r"\S*vmod_sentry\.\S+", maps)))

            use("old", old)
            sent = [varnishd.request(f"/old/{number}").headers["X-Event-Id"] for number in range(5)]
            use("new", new)
            self.assertEqual(copies(), 2)
            sent += [varnishd.request(f"/new/{number}").headers["X-Event-Id"] for number in range(5)]
            varnishd.adm("vcl.discard", "old")
            arrived = receiver.wait_for(10)
            self.assertEqual(sorted(event["event_id"] for event in arrived), sorted(sent))
            releases = [event["release"] for event in arrived]
            self.assertEqual((releases.count("old"), releases.count("new")), (5, 5))

            # Both copies' exit handlers run; the last event is the new one's.
            sent.append(varnishd.request("/last").headers["X-Event-Id"])
            varnishd.adm("stop")
            self.assertEqual(receiver.wait_for(11)[-1]["event_id"], sent[-1])
            varnishd.adm("start")
            wait.until(varnishd.running, "the child starts again")
            self.assertEqual(varnishd.counters()["MGT.child_panic"], 0)
        self.assertEqual(receiver.complaints, [])


class Signals(unittest.TestCase):
    """How systemd stops a service: `KillMode=mixed` signals the manager alone, `control-group` all processes."""

    def stopped_by(self, stop: str) -> int:
        """How many of five events arrive when varnishd is stopped that way."""
        count = 5
        with Receiver(delay=0.1) as receiver:
            with Varnishd(VCL.format(module="libvmod_sentry.so", dsn=receiver.dsn, release="1")) as varnishd:
                for number in range(count):
                    self.assertTrue(varnishd.request(f"/{number}").headers["X-Event-Id"])
                child = varnishd.child()
                manager = int(varnishd.adm("pid").split()[1])
                if stop == "control-group":
                    os.kill(child, signal.SIGTERM)
                os.kill(manager, signal.SIGTERM)
                wait.until(lambda: not Path(f"/proc/{child}").exists(), "the child ends")
            return len(receiver.events)

    def test_a_signal_to_the_manager_alone_loses_no_event(self) -> None:
        self.assertEqual(self.stopped_by("mixed"), 5)

    def test_a_signal_to_the_child_ends_it_at_once(self) -> None:
        self.assertLess(self.stopped_by("control-group"), 5)
