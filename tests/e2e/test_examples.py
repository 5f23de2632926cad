# SPDX-License-Identifier: BSD-2-Clause
"""The VCLs of examples/ do what their first comments say, with servers of our own in place of the addresses in them."""

import json
import re
import unittest
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from . import ROOT, wait
from .origin import Origin
from .receiver import KEY, PROJECT, Receiver
from .varnishd import Answer, Varnishd, folder_for_child

DSN = "https://0123456789abcdef@sentry.example.com/42"
SPOOL = "/var/spool/vmod-sentry"
# A page that the cache may have, and that is stale after a second.
SHORT = "max-age=1"


def example(name: str, origins: dict[str, Origin], texts: dict[str, str]) -> str:
    """The VCL of examples/, with origins in place of the hosts in it, and each of the texts replaced; it has to have all of them."""
    vcl = (ROOT / "examples" / f"{name}.vcl").read_text()
    for host, origin in origins.items():
        found = rf'\.host = "{re.escape(host)}";\s*\.port = "\d+";'
        vcl, times = re.subn(found, f'.host = "127.0.0.1"; .port = "{origin.port}";', vcl)
        if times != 1:
            raise ValueError(f"examples/{name}.vcl has {times} backends at {host}")
    for old, new in texts.items():
        if old not in vcl:
            raise ValueError(f"examples/{name}.vcl has no {old}")
        vcl = vcl.replace(old, new)
    return vcl


def told(event: dict[str, Any]) -> str:
    """What an event is about: type of its exception, or its message."""
    if "exception" in event:
        return event["exception"]["values"][-1]["type"]
    return event["logentry"]["formatted"]


def envelope(dsn: str, **event: Any) -> str:
    """What a browser's SDK would post."""
    header = {"dsn": dsn} | {name: value for name, value in event.items() if name == "event_id"}
    return f'{json.dumps(header)}\n{{"type":"event"}}\n{json.dumps(event)}\n'


class Examples(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.receiver = self.stack.enter_context(Receiver())
        self.folder = self.stack.enter_context(folder_for_child())

    def origin(self, name: str) -> Origin:
        return self.stack.enter_context(Origin(name))

    def serve(self, name: str, origins: dict[str, Origin], texts: dict[str, str]) -> None:
        self.varnishd = self.stack.enter_context(Varnishd(example(name, origins, texts)))

    def ask(self, url: str, method: str = "GET", headers: dict[str, str] | None = None, body: str | None = None) -> Answer:
        return self.varnishd.request(url, method, headers, body)

    def usual(self) -> dict[str, str]:
        """What to change in most examples."""
        return {DSN: self.receiver.dsn, SPOOL: str(self.folder)}

    def arrived(self, *about: str) -> list[dict[str, Any]]:
        """The events, once those about all of this have arrived."""
        known = lambda: {told(event) for event in self.receiver.events}  # noqa: E731
        wait.until(lambda: known() >= set(about), f"events about {', '.join(about)} arrive")
        self.assertEqual(self.receiver.complaints, [])
        return list(self.receiver.events)

    def test_errors(self) -> None:
        origin = self.origin("origin")
        self.serve("errors", {"192.0.2.11": origin}, self.usual())
        origin.faults.update({"/broken": 503, "/gone": "reset"})
        self.assertEqual([self.ask(url).status for url in ("/", "/broken", "/gone")], [200, 503, 503])
        events = self.arrived("OriginError 503", "FetchError")
        self.assertEqual(len(events), 2)
        (fetch,) = [event for event in events if told(event) == "FetchError"]
        self.assertTrue(fetch["exception"]["values"][0]["value"])

    def test_shop(self) -> None:
        one, two = self.origin("app1"), self.origin("app2")
        self.serve("shop", {"192.0.2.11": one, "192.0.2.12": two}, self.usual())
        # One server fails: nobody notices, and it is hardly asked.
        one.faults["/page"] = 500
        self.assertEqual([self.ask("/page").status for _ in range(6)], [200] * 6)
        self.assertEqual(one.requests.count("/page"), 1)
        # Both fail: the copy.
        for origin in (one, two):
            origin.cache_control["/news"] = SHORT
        self.assertEqual(self.ask("/news").status, 200)
        one.faults["/news"] = two.faults["/news"] = 500
        wait.until(lambda: self.ask("/news").headers["X-Cache"] == "stale", "the page is stale")
        answers = [self.ask("/news") for _ in range(4)]
        self.assertEqual({answer.status for answer in answers}, {200})
        self.assertEqual({answer.headers["X-Cache"] for answer in answers}, {"stale"})
        # No copy: a page with the number of the event.
        one.faults["/never"] = two.faults["/never"] = 500
        answer = self.ask("/never")
        self.assertEqual(answer.status, 503)
        events = self.arrived("OriginError 500", "Synth 503")
        self.assertIn(re.search(r"number ([0-9a-f]{32})\.", answer.body)[1], {event["event_id"] for event in events})
        # So for what is passed, to which an order belongs: it is not sent twice.
        one.faults["/checkout"] = two.faults["/checkout"] = "reset"
        answer = self.ask("/checkout", "POST", {"Cookie": "shop_session=1"}, "order=secret")
        asked = (one.requests + two.requests).count("/checkout")
        self.assertEqual((answer.status, asked), (503, 1))
        self.arrived("FetchError")
        number = re.search(r"number ([0-9a-f]{32})\.", answer.body)[1]
        wait.until(lambda: number in {event["event_id"] for event in self.receiver.events}, "its event arrives")
        self.assertIn("<title>Saint mode</title>", self.ask("/saintmode/").body)
        self.assertEqual([one["name"] for one in json.loads(self.ask("/saintmode/report.json").body)["objects"]], ["sm1", "sm2"])
        self.assertEqual(self.ask("/saintmode/sentry.json").headers["Content-Type"], "application/json")

    def test_object_store(self) -> None:
        near, far = self.origin("frankfurt"), self.origin("ireland")
        self.serve("object-store", {"192.0.2.31": near, "192.0.2.32": far}, self.usual())
        self.assertEqual(self.ask("/cat.jpg?size=1", headers={"Cookie": "a=b"}).headers["X-Served-By"], "frankfurt")
        self.assertEqual(near.headers["/cat.jpg"]["host"], "pictures.s3.eu-central-1.example.com")
        self.assertNotIn("cookie", near.headers["/cat.jpg"])
        self.assertEqual((self.ask("/cat.jpg?size=2").status, near.requests), (200, ["/cat.jpg"]))
        # What only the replica has, and what neither has.
        near.faults.update({"/late.jpg": 404, "/none.jpg": 403})
        far.faults["/none.jpg"] = 404
        self.assertEqual([self.ask(url).status for url in ("/late.jpg", "/none.jpg")], [200, 404])
        # An outage of the near region: one event, and no error.
        pictures = [f"/{number}.jpg" for number in range(60)]
        near.faults.update(dict.fromkeys(pictures, 503))
        self.assertEqual({self.ask(url).status for url in pictures}, {200})
        self.assertEqual(far.headers["/0.jpg"]["host"], "pictures-replica.s3.eu-west-1.example.com")
        (event,) = self.arrived(*{told(event) for event in self.receiver.wait_for(1)})
        self.assertIn("saintmode: eu_central is sick: backend frankfurt", told(event))
        # The other one fails as well: what the cache has, it serves; a missing picture stays a missing one.
        far.faults.update(dict.fromkeys(["/new.jpg", "/gone.jpg"], 503))
        near.faults.update({"/new.jpg": 503, "/gone.jpg": 404})
        self.assertEqual([self.ask(url).status for url in ("/cat.jpg", "/0.jpg", "/new.jpg")], [200, 200, 503])
        self.arrived("neither region nor the cache has it")

    def test_object_store_serves_old_copies(self) -> None:
        near, far = self.origin("frankfurt"), self.origin("ireland")
        # Stale after a second, and asked for anew after two in place of an hour.
        soon = {"set beresp.ttl = 1h;": "set beresp.ttl = 1s;", "obj.ttl + 1h < 0s": "obj.ttl + 1s < 0s"}
        self.serve("object-store", {"192.0.2.31": near, "192.0.2.32": far}, self.usual() | soon)
        self.assertEqual(self.ask("/cat.jpg").status, 200)
        near.faults["/cat.jpg"] = far.faults["/cat.jpg"] = 503
        wait.until(lambda: int(self.ask("/cat.jpg").headers["Age"]) > 3, "the copy is old")
        self.assertEqual({self.ask("/cat.jpg").status for _ in range(5)}, {200})
        self.assertGreater((near.requests + far.requests).count("/cat.jpg"), 2)

    def test_browsers(self) -> None:
        site = self.origin("site")
        self.serve("browsers", {"192.0.2.11": site}, self.usual())
        dsn = self.receiver.dsn
        self.assertIn("report-uri /api/", self.ask("/").headers["Content-Security-Policy-Report-Only"])
        answer = self.ask("/reports", "POST", body=envelope(dsn, event_id="a" * 32, message="in a browser"))
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "application/json"))
        self.assertEqual(json.loads(answer.body)["id"], "a" * 32)
        noise = envelope(dsn, message="ResizeObserver loop limit exceeded")
        self.assertEqual(self.ask("/reports", "POST", body=noise).status, 200)
        self.assertEqual(self.ask("/reports", "POST", body=envelope("https://k@elsewhere.example/1")).status, 403)
        report = json.dumps({"csp-report": {"document-uri": "https://shop.example/", "violated-directive": "img-src"}})
        url = f"/api/{PROJECT}/security/?sentry_key={KEY}"
        self.assertEqual(self.ask(url, "POST", {"Content-Type": "application/csp-report"}, report).status, 200)
        (event,) = self.receiver.wait_for(1)
        self.assertEqual(event["message"], "in a browser")
        count = json.loads(self.ask("/reports/count").body)
        self.assertEqual((count["processed"], count["ignored_by"]["resize_observer"]), (2, 1))
        self.assertEqual(site.requests, ["/"])

    def test_self_hosted_sentry(self) -> None:
        web = self.origin("web")
        keys = Path(self.folder) / "keys"
        keys.write_text(f"# shop\nhttps://{KEY}@sentry.example.com/{PROJECT}\n")
        keys.chmod(0o644)
        texts = {
            "/etc/varnish/sentry.dsns": str(keys),
            'upstream = "http://192.0.2.21:9000"': f'upstream = "http://127.0.0.1:{self.receiver.port}"',
            f'spool("{SPOOL}", ': f'spool("{self.folder}", ',
        }
        self.serve("self-hosted-sentry", {"192.0.2.21": web}, texts)
        url = f"/api/{PROJECT}/envelope/?sentry_key={KEY}"
        self.assertEqual(self.ask(url, "OPTIONS", {"Origin": "https://shop.example"}).status, 204)
        answer = self.ask(url, "POST", body='{}\n{"type":"event"}\n{"message":"of an application"}\n')
        self.assertEqual((answer.status, answer.headers["Access-Control-Allow-Origin"]), (200, "*"))
        old = f"/api/{PROJECT}/store/?sentry_key={KEY}&sentry_version=7"
        self.assertEqual(self.ask(old, "POST", body='{"message":"of an old one"}').status, 200)
        messages = wait.until(lambda: len(self.receiver.events) > 1 and self.receiver.events, "both arrive")
        self.assertEqual({event["message"] for event in messages}, {"of an application", "of an old one"})
        self.assertEqual(self.ask("/healthcheck").status, 200)
        self.assertEqual(json.loads(self.ask("/count").body)["processed"], 2)
        self.assertEqual(self.ask("/organizations/").body, "/organizations/ by web\n")
        self.assertEqual(self.receiver.complaints, [])

    def test_uwsgi_sentry(self) -> None:
        origin = self.origin("origin")
        origin.more_headers = [("X-Debug", "bar")]
        origin.faults["/gone"] = "reset"
        self.serve("uwsgi-sentry", {"192.0.2.11": origin}, self.usual())
        self.assertEqual([self.ask(*call).status for call in (("/", "PUT"), ("/help",), ("/gone",))], [405, 200, 503])
        loaded, seen = "the VCL is being loaded", "[VCL_Log] FOO bar"
        started = wait.until(lambda: [told(event) for event in self.receiver.events if "started" in told(event)], "the start is told")
        events = self.arrived(loaded, *started, "PUT IS NOT ALLOWED !!!", "help asked", seen, "FetchError")
        by = {told(event): event for event in events}
        self.assertEqual(by["help asked"]["level"], "info")
        self.assertEqual(by["FetchError"]["transaction"], "shop")
        self.assertEqual({event["release"] for event in events}, {"shop@2.4.1"})
        self.assertEqual(by[loaded]["tags"]["tier"], "edge")
        self.assertEqual(by[seen]["tags"]["filter"], "seen")

    def test_varnishsentry(self) -> None:
        origin = self.origin("origin")
        origin.faults["/broken"] = 500
        security = self.stack.enter_context(Receiver())
        texts = {
            "https://0123456789abcdef@sentry.example.com/1": self.receiver.dsn,
            "https://fedcba9876543210@sentry.example.com/2": security.dsn,
        }
        self.serve("varnishsentry", {"192.0.2.11": origin}, texts)
        self.assertEqual([self.ask(url).status for url in ("/", "/broken")], [200, 500])
        (event,) = self.receiver.wait_for(1)
        self.assertEqual((event["level"], event["tags"]["filter"], event["tags"]["worker"]), ("fatal", "500", "shop"))
        self.assertIn("RespStatus", self.receiver.files[0]["varnishlog.txt"])
        vcl = example("varnishsentry", {"192.0.2.11": origin}, texts | {'"198.51.100.0"/24': '"127.0.0.0"/8'})
        self.varnishd.use_vcl(vcl, "intruders")
        self.assertEqual(self.ask("/").status, 403)
        (event,) = security.wait_for(1)
        self.assertEqual((event["level"], event["tags"]["filter"], event["tags"]["side"]), ("warning", "VCL_acl", "client"))
        self.assertEqual((self.receiver.complaints, security.complaints), ([], []))
