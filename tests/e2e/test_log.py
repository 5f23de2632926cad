# SPDX-License-Identifier: BSD-2-Clause
"""The log that an event carries, beside what varnishlog says of the same task."""

import subprocess
import unittest

from . import relay, wait
from .bugsink import Bugsink
from .origin import Origin
from .receiver import Receiver
from .varnishd import Varnishd

VCL = """
vcl 4.1;

import sentry;
import std;

backend shop {{ .host = "127.0.0.1"; .port = "{port}"; }}

sub vcl_init {{
    sentry.init("{dsn}");
    sentry.privacy(send_default_pii = true);
    sentry.task_log(attachment);
    sentry.rule("VCL_Log", "^worth an event$");
}}

sub vcl_recv {{
    std.log("worth an event");
    sentry.watch();
    set req.http.X-Many = "lines";
    unset req.http.X-Many;
    return (pass);
}}

sub vcl_backend_fetch {{
    std.log("worth an event");
    sentry.watch();
}}
"""


class Log(unittest.TestCase):
    maxDiff = None

    def test_the_file_is_what_varnishlog_prints(self) -> None:
        with Receiver() as receiver, Origin("shop") as origin:
            vcl = VCL.format(dsn=receiver.dsn, port=origin.port)
            with Varnishd(vcl) as varnishd:
                varnishd.request("/page?a=b", headers={"Host": "shop.example", "User-Agent": "e2e/1"})
                receiver.wait_for(2)
                printed = self.printed(varnishd)
        self.assertEqual(receiver.complaints, [])
        self.assertEqual(relay.complaints(receiver.events), [])
        self.assertEqual(len(printed), 2)
        for event, files in zip(receiver.events, receiver.files):
            lines = files["varnishlog.txt"].rstrip("\n").split("\n")
            expected = printed[event["contexts"]["varnish"]["xid"]]
            self.assertEqual(lines, expected[: len(lines)])
            # What the server logs when a task is over.
            after = {line.split()[1] for line in expected[len(lines) :]}
            self.assertLessEqual(after, {"Length", "ReqAcct", "BereqAcct", "End"})

    def printed(self, varnishd: Varnishd) -> dict[int, list[str]]:
        """varnishlog's lines by the number of the transaction, once both are there."""
        command = ["varnishlog", "-n", str(varnishd.folder / "work"), "-d", "-g", "vxid"]
        command += ["-q", 'VCL_Log eq "worth an event"']

        def transactions() -> dict[int, list[str]]:
            text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
            blocks = [block.rstrip("\n").split("\n") for block in text.split("\n\n") if block.strip()]
            return {int(block[0].split()[-1]): block for block in blocks}

        wait.until(lambda: len(transactions()) == 2, "both transactions are in the log")
        return transactions()


class Watched(unittest.TestCase):
    def test_a_real_server_takes_the_event_of_a_rule_and_its_file(self) -> None:
        with Bugsink() as bugsink, Origin("shop") as origin:
            vcl = VCL.format(dsn=bugsink.dsn, port=origin.port).replace("task_log(attachment)", "task_log(both)")
            with Varnishd(vcl) as varnishd:
                varnishd.request("/page?a=b", headers={"Host": "shop.example"})
                events = {event["tags"]["side"]: event for event in bugsink.wait_for(2)}
            self.assertEqual(bugsink.rejected(), [])
        client, backend = events["client"], events["backend"]
        for event in (client, backend):
            self.assertEqual((event["logger"], event["level"], event["transaction"]), ("varnish.log", "error", "watch"))
            self.assertEqual(event["logentry"]["formatted"], "[VCL_Log] worth an event")
            self.assertEqual(event["extra"]["matched"], ["[error/VCL_Log] [VCL_Log] worth an event"])
            self.assertEqual(event["fingerprint"], ["VCL_Log", "VCL_Log"])
            self.assertEqual((event["tags"]["filter"], event["tags"]["status"]), ("VCL_Log", "200"))
            self.assertIn("Process", event["contexts"]["timestamps"])
            self.assertEqual(event["breadcrumbs"]["values"][0]["category"], "Begin")
        # What ties the two.
        self.assertEqual(backend["contexts"]["varnish"]["parent_xid"], client["contexts"]["varnish"]["xid"])
