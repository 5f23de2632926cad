# SPDX-License-Identifier: BSD-2-Clause
"""What a real varnishd reports of its children: their starts, and deaths, but not ends that were meant."""

import os
import signal
import unittest
from typing import Any

from . import relay, wait
from .receiver import Receiver
from .varnishd import Varnishd, folder_for_child

REPORTING = """
vcl 4.1;

import sentry;

backend none none;

sub vcl_init {{
    sentry.init("{dsn}");
    sentry.lifecycle("vcl, start, death", state_dir = "{folder}");
}}
"""

STARTED = "varnishd child {1} started"
DIED = "varnishd child {1} died, it had run for at most {2} s"


def said(events: list[dict[str, Any]]) -> list[tuple[str, str, str]]:
    """Level, message and first parameter of each event."""
    entries = [(event["level"], event["logentry"]) for event in events]
    return [(level, entry["message"], entry["params"][0]) for level, entry in entries]


class Child(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = self.enterContext(folder_for_child())

    def vcl(self, receiver: Receiver) -> str:
        return REPORTING.format(dsn=receiver.dsn, folder=self.folder)

    @staticmethod
    def next_child(varnishd: Varnishd, before: int) -> int:
        wait.until(lambda: varnishd.running() and varnishd.child() not in (0, before), "a new child runs")
        return varnishd.child()

    def test_a_killed_child_is_reported_by_the_next_one_and_only_by_that_of_its_own_varnishd(self) -> None:
        with Receiver() as receiver, Receiver() as other:
            with Varnishd(self.vcl(receiver)) as varnishd, Varnishd(self.vcl(other)) as neighbour:
                first = varnishd.child()
                receiver.wait_for(1)
                other.wait_for(1)
                os.kill(first, signal.SIGKILL)
                second = self.next_child(varnishd, first)
                receiver.wait_for(3)
                # A restart that is meant, of the one that shares the folder.
                neighbours = [neighbour.child()]
                neighbour.adm("stop")
                neighbour.adm("start")
                neighbours.append(self.next_child(neighbour, neighbours[0]))
                other.wait_for(2)
        died, started = ("fatal", DIED), ("info", STARTED)
        expected = [(*started, str(first)), (*died, str(first)), (*started, str(second))]
        self.assertEqual(said(receiver.events), expected)
        self.assertLess(int(receiver.events[1]["logentry"]["params"][1]), 600)
        self.assertEqual(said(other.events), [(*started, str(child)) for child in neighbours])
        self.assertEqual(list(self.folder.iterdir()), [], "both have ended as they should")
        self.assertEqual(receiver.complaints + other.complaints, [])
        self.assertEqual(relay.complaints(receiver.events), [])

    def test_a_panic_is_a_death(self) -> None:
        with Receiver() as receiver, Varnishd(self.vcl(receiver)) as varnishd:
            first = varnishd.child()
            receiver.wait_for(1)
            try:
                varnishd.adm("debug.panic.worker")
            except RuntimeError:
                pass  # The child may be gone before it can answer.
            second = self.next_child(varnishd, first)
            receiver.wait_for(3)
            self.assertEqual(varnishd.counters()["MGT.child_panic"], 1)
        expected = [("info", STARTED, str(first)), ("fatal", DIED, str(first)), ("info", STARTED, str(second))]
        self.assertEqual(said(receiver.events), expected)

    def test_a_restart_of_the_service_is_no_death_however_it_ended(self) -> None:
        with Receiver() as receiver, Varnishd(self.vcl(receiver)) as varnishd:
            first = varnishd.child()
            receiver.wait_for(1)
            varnishd.kill()
            self.assertEqual(len(list(self.folder.glob("*.marker"))), 1, "nothing took it away")
            varnishd.start()
            second = varnishd.child()
            # A death would come first.
            receiver.wait_for(2)
        self.assertEqual(said(receiver.events), [("info", STARTED, str(first)), ("info", STARTED, str(second))])
