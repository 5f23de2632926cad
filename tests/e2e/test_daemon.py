# SPDX-License-Identifier: BSD-2-Clause
"""The daemon: an operator's first minutes, and what must hold after them."""

import socket
import tempfile
import unittest
from pathlib import Path

from . import relay, wait
from .bugsink import Bugsink
from .daemon import Daemon
from .origin import Origin
from .receiver import Receiver
from .varnishd import Varnishd

VCL = """
vcl 4.1;

backend shop {{ .host = "127.0.0.1"; .port = "{port}"; }}
backend dead {{ .host = "127.0.0.1"; .port = "9"; }}

sub vcl_recv {{
    if (req.url ~ "^/dead") {{ set req.backend_hint = dead; }}
    if (req.url ~ "^/synth") {{ return (synth(500, "Made")); }}
    return (pass);
}}
"""

SECRET = "hunter2hunter2"


class FirstMinutes(unittest.TestCase):
    """One line of configuration, with a real server."""

    def test_a_test_event_a_503_and_a_panic_are_issues(self) -> None:
        with Bugsink() as bugsink, Origin("shop") as origin, Varnishd(VCL.format(port=origin.port)) as varnishd:
            with Daemon(varnishd, f'dsn = "{bugsink.dsn}"') as daemon:
                checked = daemon.command("check")
                self.assertEqual(checked.returncode, 0, checked.stdout)
                self.assertIn("worker default: the log can be read\n", checked.stdout)
                self.assertRegex(checked.stdout, r"worker default: the test event [0-9a-f]{32} arrived at 127\.0\.0\.1, project 1\n")
                answer = varnishd.request("/dead?token=" + SECRET, headers={"Cookie": f"sid={SECRET}"})
                self.assertEqual(answer.status, 503)
                bugsink.wait_for(2)
                varnishd.panic()
                bugsink.wait_for(3)
                # Another one of the same cause, in another process.
                varnishd.panic()
                events = bugsink.wait_for(4)
            rejected, issues = bugsink.rejected(), bugsink.issues
        self.assertEqual(rejected, [])
        self.assertEqual(relay.complaints(events), [])
        tested, failed, died, again = events
        self.assertEqual(tested["logentry"]["message"], "varnishsentry check: a test event")

        self.assertTrue(failed["logentry"]["formatted"].startswith("[FetchError] backend dead: "), failed["logentry"])
        self.assertEqual((failed["level"], failed["tags"]["backend"]), ("error", "dead"))
        self.assertEqual(failed["request"]["url"], "http://shop.example/dead")
        self.assertEqual(failed["contexts"]["response"]["status_code"], 503)
        # Client and backend side together.
        crumbs = failed["breadcrumbs"]["values"]
        self.assertLessEqual({"VCL_call", "RespStatus", "FetchError", "BerespStatus"}, {crumb["category"] for crumb in crumbs})
        fetch = failed["contexts"]["fetch"]["xid"]
        self.assertIn({"xid": fetch}, [crumb.get("data") for crumb in crumbs if crumb["category"] == "FetchError"])

        for event in (died, again):
            self.assertEqual(event["level"], "fatal")
            self.assertEqual(event["exception"]["values"][0]["type"], "Panic")
            self.assertIn("You asked for it", event["exception"]["values"][0]["value"])
            self.assertIn("Backtrace:", event["contexts"]["panic"]["where"])
        self.assertNotEqual(died["contexts"]["varnish"]["child_pid"], again["contexts"]["varnish"]["child_pid"])
        self.assertEqual(issues[died["event_id"]], issues[again["event_id"]], "one issue for each text")
        self.assertEqual(len(set(issues.values())), 3)
        self.assertNotIn(SECRET, str(events))


class Files(unittest.TestCase):
    def test_an_event_has_the_whole_log_and_a_panic_its_text(self) -> None:
        with Receiver() as receiver, Origin("shop") as origin, Varnishd(VCL.format(port=origin.port)) as varnishd:
            with Daemon(varnishd, f'dsn = "{receiver.dsn}"'):
                varnishd.request("/dead?token=" + SECRET, headers={"Cookie": f"sid={SECRET}"})
                receiver.wait_for(1)
                varnishd.panic()
                receiver.wait_for(2)
        self.assertEqual(receiver.complaints, [])
        log = receiver.files[0]["varnishlog.txt"]
        self.assertRegex(log, r"^\*   << Request  >> \d+ *\n-   Begin          req \d+ rxreq\n")
        self.assertRegex(log, r"\n\*\*  << BeReq    >> \d+ *\n--  Begin          bereq \d+ pass\n")
        self.assertIn("\n-   ReqHeader      Cookie: sid=[Filtered]\n", log)
        self.assertIn("\n--  FetchError     backend dead: ", log)
        self.assertTrue(log.rstrip().endswith("--  End"), log)
        text = receiver.files[1]["panic.txt"]
        self.assertIn("You asked for it", text)
        self.assertIn("pthread.name = ", text)
        self.assertNotIn(SECRET.encode(), receiver.bytes)


class Configuration(unittest.TestCase):
    def test_a_reload_takes_over_what_can_be_meant_and_nothing_else(self) -> None:
        with Receiver() as receiver, Origin("shop") as origin, Varnishd(VCL.format(port=origin.port)) as varnishd:
            dsn = f'dsn = "{receiver.dsn}"\n'
            with Daemon(varnishd, dsn) as daemon:
                varnishd.request("/synth")
                receiver.wait_for(1)
                daemon.configure(f"{dsn}throtle = 1\n[builtin]\nerror = 'on'\n")
                daemon.reload()
                log = daemon.log()
                self.assertIn(f"varnishsentry: {daemon.file}:4: throtle is unknown, expected one of ", log)
                self.assertIn(f"varnishsentry: {daemon.file}:6: builtin.error must be one of ", log)
                self.assertIn("the configuration stays as it was\n", log)
                varnishd.request("/synth")
                receiver.wait_for(2)
                daemon.configure(f"{dsn}[[filters.ReqURL]]\nregexp = '^/page'\nname = 'page'\nlevel = 'info'\n[builtin]\n\"5xx\" = 'off'\n")
                daemon.reload()
                self.assertTrue(daemon.log().rstrip().endswith("the configuration is taken over"), daemon.log())
                varnishd.request("/synth")
                varnishd.request("/page")
                receiver.wait_for(3)
                groups = daemon.metric("groups_total")
                self.assertEqual(daemon.stop(), 0)
        told = [(event["tags"]["filter"], event["level"]) for event in receiver.events]
        self.assertEqual(told, [("5xx", "error"), ("5xx", "error"), ("page", "info")])
        self.assertEqual(groups, 4, "the reader went on")

    def test_check_says_what_is_wrong(self) -> None:
        with Origin("shop") as origin, Varnishd(VCL.format(port=origin.port)) as varnishd:
            with socket.create_server(("127.0.0.1", 0)) as listener:
                port = listener.getsockname()[1]
            with Daemon(varnishd, "debug = true") as daemon:
                daemon.configure(f"dsn = 'http://{SECRET}@127.0.0.1:{port}/1'\n[[filters.Hash]]\n[server]\ntimeout = 1\n")
                unreached = daemon.command("check")
                daemon.configure("dsn = 'http://{SECRET}/1'\n")
                wrong = daemon.command("check")
                daemon.configure("")
                without = daemon.command("check")
        self.assertEqual((unreached.returncode, wrong.returncode, without.returncode), (1, 1, 1))
        self.assertIn("warning: vsl_mask hides Hash, which a filter needs: `varnishadm param.set vsl_mask +Hash`\n", unreached.stdout)
        self.assertIn("the test event did not arrive at 127.0.0.1, project 1: ", unreached.stdout)
        self.assertEqual(wrong.stdout, f"{daemon.file}:3: dsn has no key, expected https://<key>@<host>/<id>\n")
        self.assertIn("there is no DSN, so nothing is sent: ", without.stdout)
        self.assertNotIn(SECRET, unreached.stdout + wrong.stdout)


class Seen(unittest.TestCase):
    def test_the_daemon_tells_how_it_is(self) -> None:
        with Receiver() as receiver, Origin("shop") as origin, Varnishd(VCL.format(port=origin.port), identity="edge7") as varnishd:
            with Daemon(varnishd, f'dsn = "{receiver.dsn}"\n[worker.shop]\n') as daemon:
                self.assertEqual(daemon.get("/healthz"), (200, "ok\n"))
                self.assertEqual(daemon.get("/readyz"), (200, "ok\n"))
                varnishd.request("/page")
                varnishd.request("/synth")
                receiver.wait_for(1)
                wait.until(lambda: daemon.metric("events_sent_total") == 1, "the answer is taken note of")
                self.assertEqual((daemon.metric("found_total"), daemon.metric("groups_total")), (1, 2))
                [worker] = daemon.status()["workers"]
                self.assertEqual((worker["name"], worker["identity"], worker["child"]["pid"]), ("shop", "edge7", varnishd.child()))
                told = daemon.command("status")
                self.assertEqual(told.returncode, 0)
                self.assertIn("worker shop\n", told.stdout)
                self.assertRegex(told.stdout, r"found +5xx 1\n")
                varnishd.adm("stop")
                wait.until(lambda: daemon.get("/readyz")[0] == 503, "there is no log to read")
                self.assertEqual(daemon.get("/readyz")[1], "worker shop: there is no log to read\n")
                self.assertEqual(daemon.get("/healthz")[0], 200)
                self.assertEqual((daemon.metric("ready"), daemon.metric("alive")), (0, 1))
                varnishd.adm("start")
                wait.until(lambda: daemon.get("/readyz")[0] == 200, "there is one again")
                self.assertEqual(daemon.metric("ready"), 1)
                self.assertEqual(daemon.stop(), 0)
                self.assertEqual(daemon.command("status").returncode, 3)
        self.assertEqual(len(receiver.events), 1, "an end that was meant is none")

    def test_the_service_manager_is_told(self) -> None:
        with tempfile.TemporaryDirectory() as folder, socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
            address = str(Path(folder) / "notify")
            manager.bind(address)
            manager.settimeout(60)
            said: list[str] = []

            def until(word: str) -> None:
                while not any(word in message for message in said):
                    said.append(manager.recv(4096).decode())

            environment = {"NOTIFY_SOCKET": address, "WATCHDOG_USEC": "2000000"}
            with Origin("shop") as origin, Varnishd(VCL.format(port=origin.port)) as varnishd:
                with Daemon(varnishd, "debug = true", environment) as daemon:
                    until("READY=1")
                    until("WATCHDOG=1")
                    daemon.reload()
                    until("RELOADING=1")
                    said.clear()
                    until("READY=1")
                    daemon.stop()
                    until("STOPPING=1")


class Stalled(unittest.TestCase):
    def test_a_server_that_never_answers_keeps_reading_from_nothing(self) -> None:
        # A log that is written anew all the time, so that a reader who waited would lose some of it.
        small = {"vsl_space": "1m"}
        headers = {f"Padding-{number}": "x" * 200 for number in range(20)}
        with Receiver(delay=3600) as server, Origin("shop") as origin, Varnishd(VCL.format(port=origin.port), parameters=small) as varnishd:
            config = f'dsn = "{server.dsn}"\nthrottle = 0\nmax_rate = 0\n[queue]\nevents = 10\n[server]\ntimeout = 300\n'
            with Daemon(varnishd, config) as daemon:
                asked = 0
                while varnishd.counters()["MAIN.shm_cycles"] < 3:
                    # Few enough at a time for a busy machine to read them.
                    for _ in range(20):
                        varnishd.request("/synth", headers=headers)
                    asked += 20
                    wait.until(lambda: daemon.metric("groups_total") == asked, "all is read")
                self.assertEqual(daemon.metric("lost_total"), 0)
                self.assertEqual(daemon.metric("found_total"), asked)
                [worker] = daemon.status()["workers"]
                client = worker["client"]
                held = client["queue"]["events"] + client["queue"]["sending"]
                self.assertLessEqual(held, 10)
                self.assertEqual((client["captured"], client["sent"]), (asked, 0))
                self.assertEqual(client["dropped"], client["dropped"] | {"queue_overflow": asked - held})
                self.assertEqual(sum(client["dropped"].values()), asked - held)
                self.assertEqual(daemon.get("/healthz")[0], 200)
                self.assertLessEqual(daemon.memory(), 64 << 20)
