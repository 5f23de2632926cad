# SPDX-License-Identifier: BSD-2-Clause
"""The spool of a real varnishd: what went to disk outlives its child and its end."""

import os
import signal
import socket
import unittest

from . import wait
from .receiver import KEY, Receiver
from .varnishd import Varnishd, folder_for_child

CAPTURING = """
vcl 4.1;

import sentry;

backend none none;

sub vcl_init {{
    sentry.init("http://%s@127.0.0.1:{port}/1", throttle = 0);
    sentry.queue(events = {queue});
    sentry.spool("{spool}");
}}

sub vcl_recv {{
    return (synth(200));
}}

sub vcl_synth {{
    set resp.http.X-Event-Id = sentry.capture("asked for {{1}}", p1 = req.url);
}}
""" % KEY


class Spool(unittest.TestCase):
    def setUp(self) -> None:
        self.folder = self.enterContext(folder_for_child())
        # Has its port, which refuses connections until somebody listens.
        self.bound = self.enterContext(socket.socket())
        self.bound.bind(("127.0.0.1", 0))
        self.port = self.bound.getsockname()[1]

    def spooled(self) -> list[str]:
        """The ids of the events on disk, oldest first."""
        return [path.stem.split("-")[1] for path in sorted(self.folder.glob("*/*.entry"), key=lambda path: path.name)]

    def test_what_is_on_disk_survives_the_kill_of_the_child_and_is_sent_by_the_next_one(self) -> None:
        with Varnishd(CAPTURING.format(port=self.port, spool=self.folder, queue=4)) as varnishd:
            for number in range(6):
                varnishd.request(f"/{number}")
            wait.until(lambda: len(self.spooled()) >= 3, "events are on disk")
            killed = varnishd.child()
            os.kill(killed, signal.SIGKILL)
            wait.until(lambda: varnishd.running() and varnishd.child() not in (0, killed), "a new child runs")
            ids = self.spooled()
            self.assertGreaterEqual(len(ids), 3)
            # The new child takes them on without a single request.
            with Receiver(bound=self.bound) as receiver:
                arrived = receiver.wait_for(len(ids), 120)
                wait.until(lambda: varnishd.counters()["SENTRY.default.spool_sent"] == len(ids), "all are counted")
            counters = varnishd.counters()
        got = [event["event_id"] for event in arrived]
        self.assertEqual(got, ids)
        self.assertEqual(self.spooled(), [])
        self.assertEqual(counters["SENTRY.default.spool_events"], 0)
        self.assertEqual(receiver.complaints, [])

    def test_stop_leaves_the_queue_on_disk_and_the_next_varnishd_sends_it(self) -> None:
        vcl = CAPTURING.format(port=self.port, spool=self.folder, queue=1000)
        with Varnishd(vcl) as varnishd:
            ids = [varnishd.request(f"/{number}").headers["X-Event-Id"] for number in range(20)]
            varnishd.adm("stop")
            self.assertNotIn("died", varnishd.log())
        self.assertEqual(sorted(self.spooled()), sorted(ids))
        for path in self.folder.glob("*/*"):
            self.assertNotIn(KEY, path.read_text())
        with Receiver(bound=self.bound) as receiver, Varnishd(vcl):
            arrived = receiver.wait_for(len(ids), 120)
        self.assertEqual(sorted(event["event_id"] for event in arrived), sorted(ids))

    def test_of_two_varnishd_one_has_the_folder_and_the_other_reports_that(self) -> None:
        vcl = CAPTURING.format(port=self.port, spool=self.folder, queue=1000)
        with Varnishd(vcl) as first:
            wait.until(lambda: list(self.folder.glob("*/lock")), "the folder is taken")
            with Varnishd(vcl) as second:
                wait.until(lambda: second.counters()["SENTRY.default.spool_failures"], "the other one is told")
                second.request("/")
                first.request("/")
                wait.until(lambda: first.counters()["SENTRY.default.spooled"] == 1, "the owner writes")
                self.assertEqual(second.counters()["SENTRY.default.spooled"], 0)

    def test_a_folder_that_is_not_the_childs_does_not_fail_the_load(self) -> None:
        vcl = CAPTURING.format(port=self.port, spool=self.folder / "missing", queue=1000)
        with Varnishd(vcl) as varnishd:
            self.assertEqual(varnishd.request("/").status, 200)
            wait.until(lambda: varnishd.counters()["SENTRY.default.spool_failures"], "it is counted")
