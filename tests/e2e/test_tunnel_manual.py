# SPDX-License-Identifier: BSD-2-Clause
"""The manual's tunnels, driven: one for browsers, and one in front of a self-hosted Sentry."""

import base64
import json
import re
import textwrap
import unittest
import urllib.parse
import zlib
from contextlib import ExitStack

from . import ROOT, wait
from .receiver import KEY, PROJECT, Receiver
from .varnishd import Answer, Varnishd, folder_for_child

EVENT_ID = "9f2c6b0e4d1a4c7e8b3a5d6f7e8c9a0b"


def examples() -> list[str]:
    """The whole VCLs under TUNNELS, in order."""
    manual = (ROOT / "vmod.vcc").read_text()
    chapter = manual.partition("\nTUNNELS\n=======\n")[2].partition("\nTHROTTLE KEYS\n")[0]
    found = re.findall(r"^  vcl 4\.1;.*?(?=^\S|\Z)", chapter, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for block in found]


def put(text: str, changes: dict[str, str]) -> str:
    """The text with what is only an example's replaced; each has to be there."""
    for old, new in changes.items():
        if old not in text:
            raise ValueError(f"{old} is not in the example")
        text = text.replace(old, new)
    return text


def default_path(dsn: str) -> str:
    """Where the JavaScript SDK posts to with `tunnel: true`: the DSN's FNV-1a hash of 32 bits, in base 36."""
    hashed = 0x811C9DC5
    for byte in dsn.encode():
        hashed = (hashed ^ byte) * 0x01000193 & 0xFFFFFFFF
    digits = ""
    while hashed:
        hashed, digit = divmod(hashed, 36)
        digits = "0123456789abcdefghijklmnopqrstuvwxyz"[digit] + digits
    return "/" + digits


def envelope(message: str, **header: str) -> str:
    """One of one event, as a browser's SDK writes it."""
    event = json.dumps({"event_id": EVENT_ID, "message": message})
    lines = [json.dumps({"event_id": EVENT_ID} | header), '{"type":"event"}', event]
    return "\n".join(lines) + "\n"


class Tunnels(unittest.TestCase):
    def setUp(self) -> None:
        stack = ExitStack()
        self.addCleanup(stack.close)
        self.receiver = stack.enter_context(Receiver())
        self.spool = str(stack.enter_context(folder_for_child()))
        self.stack = stack

    def serve(self, text: str) -> Varnishd:
        return self.stack.enter_context(Varnishd(text))

    def messages(self, count: int) -> list[str]:
        return [event["message"] for event in self.receiver.wait_for(count)]

    def test_browsers(self) -> None:
        text = put(
            examples()[0],
            {
                "https://0123456789abcdef@o1.ingest.example/42": self.receiver.dsn,
                "/var/spool/vmod-sentry": self.spool,
                '.host = "192.0.2.11";': f'.host = "127.0.0.1"; .port = "{self.receiver.port}";',
            },
        )
        varnishd = self.serve(text)
        path = default_path(self.receiver.dsn)
        answer = varnishd.request(path, "POST", body=envelope("thrown on a page", dsn=self.receiver.dsn))
        self.assertEqual(answer.status, 200, answer.body)
        self.assertEqual(answer.headers["Content-Type"], "application/json")
        self.assertEqual(json.loads(answer.body), {"id": EVENT_ID})
        self.assertEqual(self.messages(1), ["thrown on a page"])
        foreign = self.receiver.dsn.replace(KEY, "f" * 32)
        answer = varnishd.request(path, "POST", body=envelope("of somebody else", dsn=foreign))
        self.assertEqual(answer.status, 403, answer.body)
        noise = "ResizeObserver loop limit exceeded"
        answer = varnishd.request(path, "POST", body=envelope(noise, dsn=self.receiver.dsn))
        self.assertEqual(answer.status, 200, answer.body)
        counters = varnishd.counters()
        self.assertEqual(counters["SENTRY_TUNNEL.t.accepted"], 2)
        self.assertEqual(counters["SENTRY_TUNNEL.t.ignored"], 1)
        # Anything else is the site's.
        self.assertEqual(varnishd.request("/envelope", "POST", body="a form").status, 400)
        self.assertIn("/envelope", self.receiver.complaints[0])
        self.assertEqual(self.messages(1), ["thrown on a page"])

    def test_in_front_of_a_self_hosted_sentry(self) -> None:
        dsns = self.stack.enter_context(folder_for_child()) / "dsns"
        # Its own host, as SDKs know it: nothing is sent there.
        dsns.write_text(f"# keys\nhttps://{KEY}@sentry.example/{PROJECT}\n")
        dsns.chmod(0o644)
        at = f"127.0.0.1:{self.receiver.port}"
        changes = {
            "/etc/varnish/sentry.dsns": str(dsns),
            "http://192.0.2.21:9000": f"http://{at}",
            '.host = "192.0.2.21"; .port = "9000";': f'.host = "127.0.0.1"; .port = "{self.receiver.port}";',
            "/var/spool/vmod-sentry": self.spool,
        }
        text = put(examples()[1], changes)
        varnishd = self.serve(text)
        self.preflight(varnishd)
        self.reports(varnishd)
        self.assertEqual(varnishd.request("/healthcheck").status, 200)

        # All that is no report is Sentry's, with its body.
        self.assertEqual(varnishd.request("/api/0/projects/", "POST", body="{}").status, 400)
        self.assertEqual([line.partition(":")[0] for line in self.receiver.complaints], ["/api/0/projects/"])

        def count() -> dict[str, int]:
            return json.loads(varnishd.request("/count").body)

        wait.until(lambda: count()["projects"][PROJECT]["delivery"]["sent"] == 3, "all of them are sent")
        self.assertEqual((count()["count"], count()["accepted"], count()["refused"]), (0, 4, 1))
        self.assertEqual(varnishd.request("/count").headers["Content-Type"], "application/json")
        # It is nobody else's.
        varnishd.use_vcl(put(text, {'acl operators { "127.0.0.1"; ': "acl operators { "}), "others")
        self.assertNotEqual(varnishd.request("/count").status, 200)

    def preflight(self, varnishd: Varnishd) -> None:
        """A page of another origin asks whether it may."""
        asked = {"Origin": "https://shop.example", "Access-Control-Request-Method": "POST"}
        answer = varnishd.request(f"/api/{PROJECT}/envelope/", "OPTIONS", asked)
        self.assertEqual(answer.status, 204)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
        self.assertIn("POST", answer.headers["Access-Control-Allow-Methods"])
        self.assertIn("X-Sentry-Auth", answer.headers["Access-Control-Allow-Headers"])

    def reports(self, varnishd: Varnishd) -> None:
        """By all ways that SDKs know, and one that is not kept, and one that is none."""

        def post(url: str, body: str, **headers: str) -> Answer:
            return varnishd.request(url, "POST", headers, body)

        answer = post(f"/api/{PROJECT}/envelope/?sentry_key={KEY}", envelope("by envelope"))
        self.assertEqual((answer.status, json.loads(answer.body)), (200, {"id": EVENT_ID}))
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
        auth = f"Sentry sentry_version=7, sentry_key={KEY}"
        answer = post(f"/api/{PROJECT}/store/", '{"message":"by store"}', **{"X-Sentry-Auth": auth})
        self.assertEqual(answer.status, 200, answer.body)
        data = urllib.parse.quote(base64.b64encode(zlib.compress(b'{"message":"by image"}')), safe="")
        answer = varnishd.request(f"/api/{PROJECT}/store/?sentry_key={KEY}&sentry_data={data}")
        self.assertEqual((answer.status, answer.headers["Content-Type"]), (200, "image/gif"), answer.body)
        self.assertTrue(answer.body.startswith("GIF89a"), answer.body)
        dropped = '{}\n{"type":"session"}\n{"sid":"a"}\n'
        self.assertEqual(post(f"/api/{PROJECT}/envelope/?sentry_key={KEY}", dropped).status, 200)
        answer = post(f"/api/{PROJECT}/envelope/?sentry_key={'f' * 32}", envelope("no key of ours"))
        self.assertEqual(answer.status, 403, answer.body)
        self.assertEqual(answer.headers["Access-Control-Allow-Origin"], "*")
        self.assertEqual(sorted(self.messages(3)), ["by envelope", "by image", "by store"])
