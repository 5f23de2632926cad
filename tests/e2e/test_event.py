# SPDX-License-Identifier: BSD-2-Clause
"""Events as a real server has them: captured in VCL, taken by Bugsink under strict validation, read back."""

import json
import time
import unittest

from . import relay
from .bugsink import Bugsink
from .origin import Origin
from .varnishd import Varnishd

SECRET = "hunter2"

VCL = """
vcl 4.1;

import sentry;

backend shop {{ .host = "127.0.0.1"; .port = "{port}"; }}

sub vcl_init {{
    sentry.init("{dsn}", environment = "e2e", release = "site@1.2");
    sentry.set_tag("site", "shop");
}}

sub vcl_recv {{
    sentry.set_tag("tenant", req.http.X-Tenant);
    if (req.url ~ "^/refused") {{
        sentry.set_extra("basket", {{"3 "things""}});
        sentry.set_user(id = "42", username = "ada");
        sentry.set_context("basket", "currency", "EUR");
        sentry.set_fingerprint("refused");
        sentry.set_transaction("/refused");
        sentry.add_breadcrumb("came in", category = "way", level = debug);
        sentry.add_breadcrumb("went on");
        return (synth(418, "Teapot"));
    }}
}}

sub vcl_synth {{
    set resp.http.X-Event-Id =
        sentry.capture("{{1}} for {{2}}", level = warning, p1 = resp.reason, p2 = req.http.X-Tenant);
}}

sub vcl_backend_response {{
    if (beresp.status == 500) {{
        set beresp.http.X-Event-Id = sentry.capture_exception("OriginError", "status " + beresp.status, level = fatal);
    }}
}}
"""

HEADERS = {
    "Host": "shop.example",
    "X-Tenant": "café",
    "User-Agent": "e2e/1",
    "X-Forwarded-Proto": "https",
    "Authorization": f"Bearer {SECRET}",
    "Cookie": f"sid={SECRET}; theme={SECRET}",
    "X-Api-Key": SECRET,
    "X-Forwarded-For": "198.51.100.7",
}


class Event(unittest.TestCase):
    """One event from the client side and one from the backend side."""

    maxDiff = None

    @classmethod
    def setUpClass(cls) -> None:
        cls.bugsink = cls.enterClassContext(Bugsink())
        origin = cls.enterClassContext(Origin("shop"))
        origin.faults["/broken"] = 500
        vcl = VCL.format(dsn=cls.bugsink.dsn, port=origin.port)
        cls.varnishd = cls.enterClassContext(Varnishd(vcl, identity="edge7"))
        cls.since = time.time()
        headers = HEADERS | {"X-Tenant": HEADERS["X-Tenant"].encode().decode("latin-1")}
        cls.refused = cls.varnishd.request(f"/refused?page=2&token={SECRET}", "POST", headers, "body")
        cls.broken = cls.varnishd.request(f"/broken?page=2&token={SECRET}", headers=headers)
        cls.events = {event["event_id"]: event for event in cls.bugsink.wait_for(2)}
        cls.client = cls.events.get(cls.refused.headers["X-Event-Id"], {})
        cls.backend = cls.events.get(cls.broken.headers["X-Event-Id"], {})

    def test_the_ids_that_vcl_got_are_those_of_the_events(self) -> None:
        self.assertEqual((self.refused.status, self.broken.status), (418, 500))
        ids = [answer.headers["X-Event-Id"] for answer in (self.refused, self.broken)]
        self.assertEqual(sorted(ids), sorted(self.events))
        for event_id in ids:
            self.assertRegex(event_id, "^[0-9a-f]{32}$")

    def test_the_server_rejected_nothing(self) -> None:
        self.assertEqual(self.bugsink.rejected(), [])
        self.assertEqual(relay.complaints(list(self.events.values())), [])

    def test_settings_are_on_every_event(self) -> None:
        for event in self.events.values():
            self.assertEqual(event["environment"], "e2e")
            self.assertEqual(event["release"], "site@1.2")
            self.assertEqual(event["server_name"], "edge7")
            self.assertEqual(event["logger"], "varnish.vcl")
            self.assertEqual(event["platform"], "other")
            self.assertEqual(event["sdk"]["name"], "sentry.varnish")
            self.assertRegex(event["sdk"]["version"], r"^\d+\.\d+\.\d+")
            self.assertTrue(self.since - 1 <= event["timestamp"] <= time.time(), event["timestamp"])
            self.assertEqual(event["contexts"]["runtime"]["name"].split()[0].lower(), "varnish")

    def test_a_message_has_its_template_and_parameters(self) -> None:
        expected = {"message": "{1} for {2}", "params": ["Teapot", "café"], "formatted": "Teapot for café"}
        self.assertEqual(self.client["logentry"], expected)
        self.assertEqual(self.client["level"], "warning")

    def test_an_exception_has_type_and_value(self) -> None:
        exception = self.backend["exception"]["values"]
        self.assertEqual([(e["type"], e["value"]) for e in exception], [("OriginError", "status 500")])
        self.assertEqual(self.backend["level"], "fatal")
        self.assertNotIn("logentry", self.backend)
        self.assertEqual(self.backend["transaction"], "vcl_backend_response")

    def test_the_request_is_that_of_the_side_which_captured(self) -> None:
        request = self.client["request"]
        self.assertEqual(request["method"], "POST")
        self.assertEqual(request["url"], "https://shop.example/refused")
        self.assertEqual(request["query_string"], "page=2&token=[Filtered]")
        request = self.backend["request"]
        self.assertEqual(request["method"], "GET")
        self.assertEqual(request["url"], "https://shop.example/broken")
        self.assertEqual(request["query_string"], "page=2&token=[Filtered]")

    def test_headers_are_there_and_the_secret_ones_filtered(self) -> None:
        for event in (self.client, self.backend):
            headers = {name.lower(): value for name, value in event["request"]["headers"].items()}
            self.assertEqual(headers["host"], "shop.example")
            self.assertEqual(headers["user-agent"], "e2e/1")
            self.assertEqual(headers["x-tenant"], "café")
            for name in ("authorization", "x-api-key", "x-forwarded-for"):
                self.assertEqual(headers[name], "[Filtered]", name)
            self.assertEqual(headers["cookie"], "sid=[Filtered]; theme=[Filtered]")

    def test_no_secret_has_left_the_machine(self) -> None:
        for event in self.events.values():
            # varnishd's own address is the client's here.
            varnish = event["contexts"]["varnish"]
            self.assertRegex(varnish["endpoint"], r"^127\.0\.0\.1:\d+$")
            contexts = event["contexts"] | {"varnish": varnish | {"endpoint": ""}}
            text = json.dumps(event | {"contexts": contexts})
            self.assertNotIn(SECRET, text)
            self.assertNotIn("198.51.100.7", text)
            # The address of the client is personal, too, and was not asked for. That of the backend is not.
            crumbs = event["breadcrumbs"]["values"]
            others = [crumb for crumb in crumbs if not crumb["category"].startswith("Backend")]
            self.assertNotIn("127.0.0.1", json.dumps(event | {"contexts": contexts, "breadcrumbs": others}))

    def test_tags_are_those_of_the_vcl_the_task_and_the_server(self) -> None:
        self.assertEqual(
            self.client["tags"],
            {
                "site": "shop",
                "tenant": "café",
                "backend": "shop",
                "cache": "synth",
                "listener": "a0",
                "side": "client",
                "status": "418",
                "vcl.name": "boot",
                "vcl.sub": "vcl_synth",
            },
        )
        self.assertEqual(
            self.backend["tags"],
            {
                "site": "shop",
                "backend": "shop",
                "cache": "pass",
                "listener": "a0",
                "side": "backend",
                "status": "500",
                "vcl.name": "boot",
                "vcl.sub": "vcl_backend_response",
            },
        )

    def test_the_contexts_tell_of_transaction_and_response(self) -> None:
        xid = int(self.refused.headers["X-Varnish"].split()[0])
        varnish = self.client["contexts"]["varnish"]
        self.assertEqual((varnish["xid"], varnish["restarts"]), (xid, 0))
        self.assertEqual((varnish["vcl"], varnish["side"], varnish["backend"]), ("boot", "client", "shop"))
        self.assertEqual(self.client["contexts"]["response"]["status_code"], 418)
        varnish = self.backend["contexts"]["varnish"]
        self.assertEqual(varnish["retries"], 0)
        self.assertGreater(varnish["xid"], xid)
        response = self.backend["contexts"]["response"]
        self.assertEqual(response["status_code"], 500)
        headers = {name.lower(): value for name, value in response["headers"].items()}
        self.assertEqual(headers["x-served-by"], "shop")

    def test_the_scope_is_on_the_events_of_its_task(self) -> None:
        event = self.client
        self.assertEqual(event["extra"]["basket"], '3 "things"')
        self.assertEqual(event["user"], {"id": "42", "username": "ada"})
        self.assertEqual(event["contexts"]["basket"], {"currency": "EUR"})
        self.assertEqual(event["fingerprint"], ["refused"])
        self.assertEqual(event["transaction"], "/refused")
        crumbs = event["breadcrumbs"]["values"]
        self.assertEqual(
            [(crumb["message"], crumb["category"], crumb["level"]) for crumb in crumbs],
            [("came in", "way", "debug"), ("went on", "vcl", "info")],
        )
        for crumb in crumbs:
            self.assertTrue(self.since - 1 <= crumb["timestamp"] <= event["timestamp"] + 1)

    def test_an_error_has_its_tasks_log_and_a_warning_has_not(self) -> None:
        crumbs = [(crumb["category"], crumb["message"]) for crumb in self.backend["breadcrumbs"]["values"]]
        self.assertEqual(crumbs[0][0], "Begin")
        for crumb in (("BereqURL", "/broken?page=2&token=[Filtered]"), ("BerespStatus", "500")):
            self.assertIn(crumb, crumbs)
        times = [crumb["timestamp"] for crumb in self.backend["breadcrumbs"]["values"]]
        self.assertEqual(times, sorted(times))
        self.assertTrue(self.since - 1 <= times[0] <= times[-1] <= self.backend["timestamp"] + 1)

    def test_the_scope_of_one_task_is_not_on_another(self) -> None:
        for field in ("user", "fingerprint"):
            self.assertFalse(self.backend.get(field), field)
        self.assertNotIn("way", [crumb["category"] for crumb in self.backend["breadcrumbs"]["values"]])
        self.assertNotIn("basket", self.backend.get("extra", {}))
        self.assertNotIn("basket", self.backend["contexts"])
        self.assertNotIn("tenant", self.backend["tags"])
