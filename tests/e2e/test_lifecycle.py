# SPDX-License-Identifier: BSD-2-Clause
"""Stops, crashes and reloads of a real varnishd: what must survive does, and nothing is left behind."""

import http.client
import os
import re
import signal
import time
import unittest
from pathlib import Path

from . import wait
from .origin import Origin
from .receiver import Receiver
from .traffic import Client, traffic
from .varnishd import Varnishd

# `RELOADS=200 tests/check e2e` is the full run.
RELOADS = int(os.environ.get("RELOADS", "50"))

CAPTURING = """
vcl 4.1;

import sentry;

backend none none;

sub vcl_init {{
    sentry.init({init});
}}

sub vcl_recv {{
    return (synth(200));
}}

sub vcl_synth {{
    set resp.http.X-Event-Id = sentry.capture("asked for {{1}}", p1 = req.url);
}}
"""


class Stop(unittest.TestCase):
    def test_stop_waits_for_events_that_are_still_queued(self) -> None:
        count = 10
        with Receiver(delay=0.05) as receiver:
            vcl = CAPTURING.format(init=f'"{receiver.dsn}", throttle = 0')
            with Varnishd(vcl) as varnishd:
                ids = [varnishd.request(f"/{number}").headers["X-Event-Id"] for number in range(count)]
                varnishd.adm("stop")
                arrived = receiver.wait_for(count)
        self.assertEqual(sorted(event["event_id"] for event in arrived), sorted(ids))
        self.assertEqual(receiver.complaints, [])

    def test_stop_waits_for_a_client_whose_vcl_has_gone(self) -> None:
        count = 10
        with Receiver(delay=0.1) as receiver:
            vcl = CAPTURING.format(init=f'"{receiver.dsn}", throttle = 0')
            with Varnishd(vcl, parameters={"debug": "+vclrel"}) as varnishd:
                ids = [varnishd.request(f"/{number}").headers["X-Event-Id"] for number in range(count)]
                varnishd.use_vcl("vcl 4.1; backend none none;", "other")
                varnishd.adm("vcl.discard", "boot")
                varnishd.adm("stop")
                arrived = receiver.wait_for(count)
        self.assertEqual(sorted(event["event_id"] for event in arrived), sorted(ids))

    def test_stop_does_not_wait_for_a_server_that_does_not_answer(self) -> None:
        with Receiver(delay=120) as receiver:
            vcl = CAPTURING.format(init=f'"{receiver.dsn}"').replace("sub vcl_init {", "sub vcl_init { sentry.server(timeout = 60s);")
            with Varnishd(vcl) as varnishd:
                self.assertTrue(varnishd.request("/").headers["X-Event-Id"])
                start = time.monotonic()
                varnishd.adm("stop")
                took = time.monotonic() - start
                log = varnishd.log()
        # Two seconds are what the module may take; the rest is for a busy machine.
        self.assertLess(took, 20)
        self.assertNotIn("died", log)


class Crash(unittest.TestCase):
    def test_a_child_that_restarts_without_its_dsn_file_serves_and_reports_when_the_file_is_back(self) -> None:
        with Receiver() as receiver:
            with Varnishd("vcl 4.1; backend none none;") as varnishd:
                dsn_file = varnishd.folder / "dsn"
                dsn_file.write_text(receiver.dsn + "\n")
                dsn_file.chmod(0o644)
                vcl = CAPTURING.format(init=f'dsn_file = "{dsn_file}"')
                varnishd.use_vcl(vcl, "capturing")
                varnishd.request("/before")
                receiver.wait_for(1)

                dsn_file.unlink()
                killed = varnishd.child()
                os.kill(killed, signal.SIGKILL)
                wait.until(lambda: varnishd.running() and varnishd.child() not in (0, killed), "a new child runs")
                answer = self.answered(varnishd, "/without")
                self.assertEqual(answer.status, 200)
                self.assertFalse(answer.headers["X-Event-Id"])

                dsn_file.write_text(receiver.dsn + "\n")
                dsn_file.chmod(0o644)
                wait.until(lambda: varnishd.request("/after").headers["X-Event-Id"], "the DSN is read again")
                receiver.wait_for(2)
                self.assertEqual(varnishd.counters()["MGT.child_panic"], 0)
        self.assertTrue(receiver.events[-1]["request"]["url"].endswith("/after"))

    @staticmethod
    def answered(varnishd: Varnishd, url: str):  # noqa: ANN205
        """The answer of a child that may have started just now, at a port that varnishd kept."""

        def attempt():  # noqa: ANN202
            try:
                return varnishd.request(url)
            except (ConnectionError, http.client.HTTPException):
                return None

        return wait.until(attempt, "the new child answers")


RELOADED = """
vcl 4.1;

# generation {generation}
import directors;
import saintmode;
import sentry;

backend first {{ .host = "127.0.0.1"; .port = "{first}"; }}
backend second {{ .host = "127.0.0.1"; .port = "{second}"; }}

sub vcl_init {{
    sentry.init("{dsn}", environment = "reload");
    new first_sm = saintmode.saintmode(first, 1000);
    new origin = directors.fallback();
    origin.add_backend(first_sm.backend());
    origin.add_backend(second);
}}

sub vcl_recv {{
    sentry.set_tag("generation", "{generation}");
    sentry.add_breadcrumb("came in");
    set req.backend_hint = origin.backend();
    return (pass);
}}

sub vcl_backend_response {{
    if (beresp.status >= 500) {{
        sentry.capture("status {{1}}", p1 = beresp.status);
        saintmode.denylist(1s);
        return (retry);
    }}
}}

sub vcl_deliver {{
    set resp.http.X-Generation = "{generation}";
}}

sub vcl_fini {{
    sentry.capture("generation {{1}} ends", p1 = "{generation}", level = info);
}}
"""


class Reader(Client):
    """Asks for page after page; every tenth page fails at first."""

    def __init__(self, port: int, number: int):
        super().__init__(port, number)
        self.generations: set[str] = set()

    def act(self) -> None:
        page = f"/failing/{self.number}" if self.answers % 10 == 9 else f"/page/{self.number}"
        response, body = self.ask("GET", page, {})
        self.generations.add(response.headers["X-Generation"])
        if response.status != 200 or not body.startswith(page.encode()):
            self.wrong.append(f"{page}: {response.status} {body[:60]!r}")


class Reload(unittest.TestCase):
    def test_reloads_under_traffic_leave_neither_threads_nor_memory_nor_old_vcls(self) -> None:
        with Origin("first") as first, Origin("second") as second, Receiver() as receiver:
            first.faults = {f"/failing/{number}": 500 for number in range(4)}

            def vcl(generation: int) -> str:
                return RELOADED.format(
                    generation=generation, first=first.port, second=second.port, dsn=receiver.dsn
                )

            # A client thread that a busy machine holds up for a while keeps its connection (timeout_idle). An
            # idle worker gives back the VCL it used last within a second in place of a minute (vclrel).
            with Varnishd(vcl(0), parameters={"timeout_idle": "60", "debug": "+vclrel"}) as varnishd:
                child = varnishd.child()
                clients = [Reader(varnishd.port, number) for number in range(4)]
                with traffic(clients):
                    old = "boot"
                    for generation in range(1, RELOADS + 1):
                        new = f"generation{generation}"
                        varnishd.use_vcl(vcl(generation), new)
                        varnishd.adm("vcl.discard", old)
                        old = new
                        if generation == min(10, RELOADS):
                            threads, memory = usage(child)
                    answers = sum(client.answers for client in clients)
                    wait.until(lambda: sum(client.answers for client in clients) > answers + 40, "the traffic goes on")
                self.assertEqual([wrong for client in clients for wrong in client.wrong], [])
                generations = set().union(*(client.generations for client in clients))
                self.assertGreater(len(generations), RELOADS // 2, "the traffic did not see the reloads")

                # A discarded VCL goes when its last task has gone.
                wait.until(lambda: re.findall(r"\S+$", varnishd.adm("vcl.list"), re.M) == [old], "old VCLs are gone")
                self.assertEqual(varnishd.child(), child)
                counters = varnishd.counters()
                self.assertEqual(counters["MGT.child_panic"], 0)
                self.assertEqual(counters["MGT.child_died"], 0)
                threads_now, memory_now = usage(child)
                self.assertLessEqual(threads_now, threads + 5)
                self.assertLessEqual(memory_now, memory + 8 * 1024, "KB")
                mine = {name for name in counters if name.startswith(("SAINTMODE.", "SENTRY."))}
                self.assertFalse({name for name in mine if "generation" in name and old not in name})
        self.assertEqual(receiver.complaints, [])
        self.assertTrue(receiver.events)


def usage(pid: int) -> tuple[int, int]:
    """Threads and resident memory (KB) of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return tuple(int(re.search(rf"^{name}:\s+(\d+)", status, re.M)[1]) for name in ("Threads", "VmRSS"))
