# SPDX-License-Identifier: BSD-2-Clause
"""One trace from the client to the origin, as a real server has its events."""

import unittest

from . import relay
from .bugsink import Bugsink
from .origin import Origin
from .varnishd import Varnishd

VCL = """
vcl 4.1;

import sentry;

backend shop {{ .host = "127.0.0.1"; .port = "{port}"; }}

sub vcl_init {{
    sentry.init("{dsn}");
}}

sub vcl_recv {{
    set req.http.sentry-trace = sentry.trace_header();
    set req.http.baggage = sentry.baggage_header();
}}

sub vcl_backend_fetch {{
    set bereq.http.sentry-trace = sentry.trace_header();
    set bereq.http.baggage = sentry.baggage_header();
}}

sub vcl_backend_response {{
    sentry.capture("backend side");
}}

sub vcl_deliver {{
    sentry.capture("client side");
}}
"""

TRACE, SPAN = "771a43a4192642f0b136d5159a501700", "00f067aa0ba902b7"


class Trace(unittest.TestCase):
    """A request that begins a trace, and one that continues one."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.bugsink = cls.enterClassContext(Bugsink())
        cls.origin = cls.enterClassContext(Origin("shop"))
        vcl = VCL.format(dsn=cls.bugsink.dsn, port=cls.origin.port)
        varnishd = cls.enterClassContext(Varnishd(vcl))
        varnishd.request("/begun")
        headers = {"sentry-trace": f"{TRACE}-{SPAN}-1", "baggage": f"sentry-trace_id={TRACE},sentry-public_key=web"}
        varnishd.request("/continued", headers=headers)
        cls.events = cls.bugsink.wait_for(4)

    def chain(self, path: str) -> tuple[dict[str, str], dict[str, str], dict[str, str]]:
        """The traces of the client's side and of the backend's, and the headers that the origin got."""
        events = {e["tags"]["side"]: e for e in self.events if e["request"]["url"].endswith(path)}
        traces = [events[side]["contexts"]["trace"] for side in ("client", "backend")]
        return traces[0], traces[1], self.origin.headers[path]

    def linked(self, path: str) -> str:
        client, backend, headers = self.chain(path)
        self.assertEqual(client["trace_id"], backend["trace_id"])
        self.assertEqual(backend["parent_span_id"], client["span_id"])
        self.assertNotEqual(backend["span_id"], client["span_id"])
        trace_id, span_id, *_ = headers["sentry-trace"].split("-")
        self.assertEqual((trace_id, span_id), (backend["trace_id"], backend["span_id"]))
        self.assertIn(f"sentry-trace_id={trace_id}", headers["baggage"])
        return trace_id

    def test_a_trace_that_begins_here_ties_both_sides_and_the_origin(self) -> None:
        self.assertRegex(self.linked("/begun"), "^[0-9a-f]{32}$")
        client, _, headers = self.chain("/begun")
        self.assertNotIn("parent_span_id", client)
        self.assertEqual(headers["sentry-trace"].count("-"), 1)

    def test_a_trace_that_came_with_the_request_goes_on_with_its_decision(self) -> None:
        self.assertEqual(self.linked("/continued"), TRACE)
        client, _, headers = self.chain("/continued")
        self.assertEqual(client["parent_span_id"], SPAN)
        self.assertTrue(headers["sentry-trace"].endswith("-1"))
        # What decides of the trace is added where it is missing.
        self.assertRegex(headers["baggage"], rf"^sentry-trace_id={TRACE},sentry-public_key=web,sentry-sample_rand=0\.[0-9]{{6}}$")

    def test_the_server_rejected_nothing(self) -> None:
        self.assertEqual(self.bugsink.rejected(), [])
        self.assertEqual(relay.complaints(self.events), [])
