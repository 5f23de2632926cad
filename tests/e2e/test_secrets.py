# SPDX-License-Identifier: BSD-2-Clause
"""Marked secrets in every place that a request and a response can carry one, and none in the bytes that leave."""

import base64
import itertools
import unittest
import urllib.parse

from .origin import Origin
from .receiver import Receiver
from .varnishd import Varnishd

VCL = """
vcl 4.1;

import sentry;
import std;

backend shop {{ .host = "127.0.0.1"; .port = "{port}"; }}

sub vcl_init {{
    sentry.init("{dsn}", environment = "default");
    sentry.privacy(max_request_body = 8KB);
    new pii = sentry.client("{dsn}", environment = "pii");
    pii.privacy(send_default_pii = true, max_request_body = 8KB);
    pii.task_log(both);
    new strict = sentry.client("{dsn}", environment = "strict");
    strict.privacy(send_default_pii = true, allowed_only = true, max_request_body = 8KB);
    strict.task_log(both);
}}

sub report {{
    sentry.set_tag("explicit", req.http.X-Api-Key);
    sentry.capture("client");
    pii.capture("client");
    strict.capture("client");
}}

sub vcl_recv {{
    std.log("password=" + req.http.X-Password);
    std.cache_req_body(16KB);
    if (req.method == "PUT") {{
        return (synth(401));
    }}
    return (pass);
}}

sub vcl_deliver {{
    call report;
}}

sub vcl_synth {{
    set resp.reason = "token=" + req.http.X-Api-Key;
    call report;
}}

sub vcl_backend_response {{
    sentry.capture("backend");
    pii.capture("backend");
    strict.capture("backend");
}}
"""

KINDS = ("default", "pii", "strict")


class Marks:
    """Hands out secrets that no list knows, each with the place it is for."""

    def __init__(self) -> None:
        self.places: dict[str, str] = {}
        self.numbers = itertools.count(1000)

    def __call__(self, place: str) -> str:
        mark = f"hunter{next(self.numbers)}z"
        self.places[mark] = place
        return mark

    def url(self, place: str) -> str:
        """A URL with a secret wherever a URL can have one."""
        mark = lambda part: self(f"{place}, {part}")  # noqa: E731
        inner = f"/login?password={mark('encoded')}&a=b"
        twice = urllib.parse.quote(f"/login?api_key={mark('encoded twice')}")
        json = urllib.parse.quote(f'{{"a":1,"token":"{mark("JSON")}"}}')
        user = urllib.parse.quote(f"https://me:{mark('encoded user')}@h.example/")
        return (
            f"https://{mark('user')}:{mark('password')}@shop.example/a;jsessionid={mark('path parameter')}"
            f"?page=2&token={mark('query')}&API%5FKEY={mark('encoded key')}&user[password]={mark('array')}"
            f"&next={urllib.parse.quote(inner)}&then={urllib.parse.quote(twice)}&state={json}&back={user}"
            f"&X-Amz-Signature={mark('signature')}&id_token={mark('id token')}#access_token={mark('fragment')}"
        )

    def basic(self, place: str) -> str:
        coded = base64.b64encode(f"user:{self(place)}".encode()).decode()
        self.places[coded] = place
        return f"Basic {coded}"

    def jwt(self, place: str) -> str:
        return f"eyJ{self(place)}.eyJ{self(place)}.{self(place)}"


class Secrets(unittest.TestCase):
    """Two requests, one to the origin and one to vcl_synth, each reported by three clients."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.marks = mark = Marks()
        # Whose names say it.
        cls.named = {
            name: mark(name)
            for name in (
                "Proxy-Authorization X-Api-Key X-Auth-Token X-CSRF-Token X-XSRF-TOKEN X-Amz-Security-Token X-Jwt "
                "X-Session-Id X-Key X-Password X-Secret X-SSO-User X-SAML-Response X-Client-Signature Cookie2 X-Sid"
            ).split()
        }
        # Whose values have to be looked into.
        urls = ("Referer", "Origin", "Destination", "X-Original-URL", "X-Callback-URI")
        cls.read = {name: mark.url(name) for name in urls}
        cls.read |= {
            "X-Any": mark.url("X-Any"),
            "X-Debug": f'a=1 password="{mark("X-Debug")} {mark("X-Debug")}"',
            "X-Data": f'{{"a":1,"token":"{mark("X-Data")} {mark("X-Data")}","b":{{"pwd":["{mark("X-Data")}"]}}}}',
            "X-Blob": mark.jwt("X-Blob"),
            "X-Grant": mark.basic("X-Grant"),
            "X-Form": f"user=ada&passwd={mark('X-Form')}&secret={mark('X-Form')}",
        }
        # What points at a person.
        personal = "X-Forwarded-For X-Forwarded-Host X-Real-IP CF-Connecting-IP Forwarded X-Remote-User Via"
        cls.personal = {name: mark(name) for name in personal.split()}
        cls.theme = mark("cookie without a secret")
        request = cls.named | cls.read | cls.personal
        request |= {
            "Authorization": mark.basic("Authorization"),
            "Host": f"{mark('Host')}:{mark('Host')}@shop.example",
            "Cookie": f"theme={cls.theme}; sid={mark('cookie')}; {mark('no cookie')}",
            "X-Plain": "to be seen",
        }
        target = "/" + mark.url("request line").partition("shop.example/")[2].partition("#")[0]
        absolute = mark.url("absolute request line").partition("#")[0].replace("https", "http", 1)
        urls = ("Location", "Content-Location", "X-Next-URL")
        response = {name: mark.url(f"{name} of the response") for name in urls}
        response |= {
            "Set-Cookie": f"theme={mark('Set-Cookie')}; Path=/; HttpOnly",
            "WWW-Authenticate": f"Digest realm={mark('WWW-Authenticate')}",
            "Authentication-Info": f"nextnonce={mark('Authentication-Info')}",
            "Authorization": f"Bearer {mark('Authorization of the response')}",
            "X-Auth-Token": mark("X-Auth-Token of the response"),
            "Link": f"<{mark.url('Link')}>; rel=next, <{mark.url('Link')}>; rel=prev",
            "Refresh": f"0; url={mark.url('Refresh')}",
            "X-State": f'{{"session":{{"id":"{mark("X-State")}"}}}}',
        }
        cls.response = response
        request["Content-Type"] = "application/x-www-form-urlencoded"
        form = f"page=2&password={mark('form')}&back={urllib.parse.quote(mark.url('form'))}&session={mark('form')}"
        json = f'{{"page":2,"token":"{mark("JSON body")}","a":[{{"secret":{{"b":"{mark("JSON body")}"}}}}]}}'
        receiver = cls.enterClassContext(Receiver())
        origin = cls.enterClassContext(Origin("shop"))
        origin.more_headers = [*response.items(), ("Set-Cookie", f"sid={mark('second Set-Cookie')}")]
        room = {"http_req_size": "128k", "http_resp_size": "128k", "http_max_hdr": "128"}
        room |= {"workspace_client": "512k", "workspace_backend": "512k"}
        varnishd = cls.enterClassContext(Varnishd(VCL.format(dsn=receiver.dsn, port=origin.port), parameters=room))
        cls.statuses = [
            varnishd.request(target, "POST", request | {"Content-Type": "application/json"}, json).status,
            varnishd.request(absolute, "PUT", request, form).status,
        ]
        cls.events = receiver.wait_for(9)
        cls.bytes = receiver.bytes

    def of(self, environment: str) -> list[dict]:
        return [event for event in self.events if event["environment"] == environment]

    def test_there_is_an_event_of_each_side_and_client(self) -> None:
        self.assertEqual(self.statuses, [200, 401])
        subs = ["vcl_backend_response", "vcl_deliver", "vcl_synth"]
        for environment in KINDS:
            self.assertEqual(sorted(event["tags"]["vcl.sub"] for event in self.of(environment)), subs)

    def test_no_secret_is_in_the_bytes_that_left(self) -> None:
        explicit = self.named["X-Api-Key"]
        told = set(self.personal.values()) | {explicit, self.theme}
        # However it is spelled: as it is, or percent-encoded.
        sent = self.bytes.decode() + urllib.parse.unquote(self.bytes.decode())
        leaks = [place for mark, place in self.marks.places.items() if mark in sent and mark not in told]
        self.assertEqual(leaks, [])

    def test_what_vcl_sets_is_the_only_way_for_a_secret(self) -> None:
        explicit = self.named["X-Api-Key"]
        for event in self.events:
            tags = event.pop("tags")
            self.assertNotIn(explicit, str(event))
            if event["logentry"]["message"] == "client":
                self.assertEqual(tags.get("explicit"), explicit)
            event["tags"] = tags

    def test_bodies_and_logs_are_there_without_their_secrets(self) -> None:
        for event in self.of("default") + self.of("pii"):
            beginning = "page=2&password=[Filtered]&" if event["tags"]["vcl.sub"] == "vcl_synth" else '{"page":2,"token":'
            self.assertTrue(event["request"]["data"].startswith(beginning), event["request"]["data"])
        for event in self.of("default"):
            if event["tags"]["side"] == "client":
                self.assertIn("password=[Filtered]", [crumb["message"] for crumb in event["breadcrumbs"]["values"]])
        self.assertRegex(self.bytes, rb"\n-+ +VCL_Log +password=\[Filtered\]\n")

    def test_what_points_at_a_person_leaves_with_pii_only(self) -> None:
        for event in self.of("default") + self.of("strict"):
            for name, mark in self.personal.items():
                self.assertNotIn(mark, str(event), name)
            self.assertNotIn(self.theme, str(event))
        for event in self.of("pii"):
            for name, mark in self.personal.items():
                self.assertIn(mark, event["request"]["headers"].get(name, ""), name)
            self.assertTrue(event["request"]["headers"]["Cookie"].startswith(f"theme={self.theme}; sid=[Filtered];"))

    def test_names_and_harmless_values_are_there(self) -> None:
        for event in self.events:
            request = event["request"]
            for name in ("Authorization", "Cookie", *self.named, *self.read, *self.personal):
                self.assertIn(name, request["headers"])
            self.assertEqual(request["headers"]["Host"], "shop.example")
            strict = event["environment"] == "strict"
            self.assertEqual(request["headers"]["X-Plain"], "[Filtered]" if strict else "to be seen")
            self.assertTrue(request["url"].endswith("://shop.example/a;jsessionid=[Filtered]"), request["url"])
            query = f"page={'[Filtered]' if strict else '2'}&token=[Filtered]&"
            self.assertTrue(request["query_string"].startswith(query), request["query_string"])
        for event in self.of("default") + self.of("pii"):
            if event["tags"]["vcl.sub"] != "vcl_synth":
                self.assertLessEqual(set(self.response), set(event["contexts"]["response"]["headers"]))
            else:
                self.assertEqual(event["contexts"]["response"]["reason"], "token=[Filtered]")
