# SPDX-License-Identifier: BSD-2-Clause
"""The manual's own VCL for grouping: real failures, each of which has to be an issue of its own."""

import re
import socket
import textwrap
import unittest

from . import ROOT, relay
from .bugsink import Bugsink
from .origin import Origin
from .varnishd import Varnishd

# What the failures need; the manual's subs are joined to these.
VCL = """
vcl 4.1;

import sentry;
import vtc;

backend shop {{ .host = "127.0.0.1"; .port = "{port}"; .first_byte_timeout = 0.3s; }}
backend closed {{ .host = "127.0.0.1"; .port = "{closed}"; }}
backend sick none;

sub vcl_init {{
    sentry.init("{dsn}");
}}

sub vcl_recv {{
    if (req.url == "/synth") {{ return (synth(503, "Closed for today")); }}
    if (req.url == "/vcl") {{ return (fail); }}
    if (req.url == "/refused") {{ set req.backend_hint = closed; }}
    if (req.url == "/nobody") {{ set req.backend_hint = sick; }}
    return (pass);
}}

sub vcl_backend_fetch {{
    if (bereq.url == "/error") {{ return (error(503, "Not now")); }}
    if (bereq.url == "/overflow") {{ vtc.workspace_alloc(backend, -200); }}
}}
"""

# The failures, and the issue that each of them is.
CAUSES = {
    "/500": "OriginError 500: the origin answered with an error",
    "/502": "OriginError 502: the origin answered with an error",
    "/503": "OriginError 503: the origin answered with an error",
    "/refused": r"FetchError: backend closed: fail errno \d+ \(Connection refused\)",
    "/timeout": "FetchError: first byte timeout",
    "/reset": "FetchError: .*([Ee][Oo][Ff]|read error|reset).*",
    "/nobody": "FetchError: .*[Nn]o backend.*",
    "/error": "BackendError 503: Not now",
    "/synth": "Synth 503: Closed for today",
    "/vcl": "Synth 503: VCL failed",
    "/overflow": "FetchError: .*overflow.*",
}


def recommended() -> str:
    """The subs of the example under GROUPING."""
    chapter = re.search(r"^GROUPING\n=+\n(.*?)^\$Function", (ROOT / "vmod.vcc").read_text(), re.MULTILINE | re.DOTALL)
    assert chapter
    subs = re.findall(r"^  sub .*?^  }\n", chapter[1], re.MULTILINE | re.DOTALL)
    return textwrap.dedent("".join(subs))


class Grouping(unittest.TestCase):
    """Each failure happens twice, with other details: the causes are issues, the times are not."""

    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        cls.bugsink = cls.enterClassContext(Bugsink())
        origin = cls.enterClassContext(Origin("shop"))
        origin.faults |= {"/500": 500, "/502": 502, "/503": 503, "/timeout": "hang", "/reset": "reset"}
        # Bound and not listening: nobody else gets the port, and who connects is refused.
        closed = cls.enterClassContext(socket.socket())
        closed.bind(("127.0.0.1", 0))
        vcl = VCL.format(dsn=cls.bugsink.dsn, port=origin.port, closed=closed.getsockname()[1]) + recommended()
        varnishd = cls.enterClassContext(Varnishd(vcl))
        for client in ("one", "two"):
            for url in CAUSES:
                varnishd.request(url, headers={"X-Client": client})
        cls.events = cls.bugsink.wait_for(2 * len(CAUSES))

    def test_each_cause_is_one_issue_and_none_is_that_of_another(self) -> None:
        issues: dict[str, list[str]] = {}
        for event in self.events:
            exception = event["exception"]["values"][0]
            path = "/" + event["request"]["url"].split("/", 3)[3]
            self.assertRegex(f"{exception['type']}: {exception['value']}", f"^{CAUSES[path]}$")
            issues.setdefault(self.bugsink.issues[event["event_id"]], []).append(path)
        self.assertEqual(sorted(issues.values()), sorted([url, url] for url in CAUSES))

    def test_the_server_rejected_nothing(self) -> None:
        self.assertEqual(self.bugsink.rejected(), [])
        self.assertEqual(relay.complaints(self.events), [])
