# SPDX-License-Identifier: BSD-2-Clause
"""The tunnel with Sentry's own SDKs on one side and real servers on the other."""

import base64
import json
import tempfile
import unittest
from contextlib import ExitStack
from pathlib import Path

from . import sdks, wait
from .browser import Browser
from .bugsink import Bugsink
from .kent import Kent
from .origin import Origin
from .receiver import KEY, PROJECT, Receiver, parse_envelope
from .varnishd import Varnishd

VCL = """
vcl 4.1;

import sentry;

backend shop {{ .host = "127.0.0.1"; .port = "{port}"; }}

sub vcl_init {{
    new t = sentry.tunnel("{dsn}", upstream = "{upstream}");
    # What arrives twice would be one too many, and a busy machine takes its time to answer.
    t.server(timeout = 60s);
}}

sub vcl_recv {{
    if (req.url == t.path() || req.url ~ "^/api/[0-9]+/envelope/") {{
        return (synth(t.accept()));
    }}
    if (req.url == "/count") {{
        return (synth(701));
    }}
    return (pass);
}}

sub vcl_synth {{
    if (resp.status == 701) {{
        set resp.status = 200;
        set resp.body = t.count();
        return (deliver);
    }}
    set resp.http.Content-Type = t.content_type();
    set resp.http.X-Sentry-Rate-Limits = t.rate_limits();
    set resp.body = t.response();
    return (deliver);
}}
"""

# What the SDK posts is kept in the page, at the last place that sees it.
PAGE = """<!doctype html><title>shop</title><body>
<script src="/sentry.js"></script>
<script>
const sent = [];
const post = (url, options) => {{
    const body = options.body;
    const bytes = typeof body === "string" ? new TextEncoder().encode(body) : new Uint8Array(body);
    sent.push(btoa(Array.from(bytes, (byte) => String.fromCharCode(byte)).join("")));
    return fetch(url, options);
}};
Sentry.init({{
    dsn: "{dsn}", tunnel: true, release: "shop@1", transport: (options) => Sentry.makeFetchTransport(options, post),
    integrations: [Sentry.replayIntegration()], replaysSessionSampleRate: {replays}, replaysOnErrorSampleRate: 0,
}});
</script>
<button onclick="undefined_basket.add()">buy</button>
</body>"""


def items(envelope: bytes) -> bytes:
    """All behind the first line, but for the last line's end, which may be there or not."""
    return envelope.split(b"\n", 1)[1].rstrip(b"\n")


def replay(envelopes: list[bytes]) -> bytes | None:
    """The first envelope with a replay in it."""
    return next((envelope for envelope in envelopes if b'"type":"replay_recording"' in envelope), None)


class Browsers(unittest.TestCase):
    """A page that Varnish serves, in a real Chromium, with the browser's SDK in it."""

    def start(self, stack: ExitStack, dsn: str, replays: int) -> tuple[Varnishd, Browser]:
        origin = stack.enter_context(Origin("shop"))
        origin.pages["/sentry.js"] = ("text/javascript", sdks.browser_script())
        page = PAGE.format(dsn=dsn, replays=replays)
        origin.pages["/"] = ("text/html; charset=utf-8", page.encode())
        varnishd = stack.enter_context(Varnishd(VCL.format(port=origin.port, dsn=dsn, upstream="")))
        browser = stack.enter_context(Browser())
        browser.open(f"http://127.0.0.1:{varnishd.port}/")
        wait.until(lambda: browser.value("document.readyState == 'complete' && !!window.Sentry"), "the page is there")
        return varnishd, browser

    def test_an_error_on_a_page_is_an_event_in_bugsink(self) -> None:
        with ExitStack() as stack:
            server = stack.enter_context(Bugsink(validation="none"))
            varnishd, browser = self.start(stack, server.dsn, 0)
            browser.value("document.querySelector('button').click()")
            event = server.wait_for(1)[0]
            thrown = event["exception"]["values"][0]
            self.assertEqual((thrown["type"], event["release"]), ("ReferenceError", "shop@1"))
            self.assertIn("undefined_basket", thrown["value"])
            self.assertEqual(event["request"]["url"], f"http://127.0.0.1:{varnishd.port}/")

    def test_a_replay_arrives_byte_for_byte(self) -> None:
        with ExitStack() as stack:
            receiver = stack.enter_context(Receiver())
            _, browser = self.start(stack, receiver.dsn, 1)
            browser.value("Sentry.getReplay().flush()")
            arrived = wait.until(lambda: replay([body for _, body in receiver.requests]), "a replay arrives")
            self.assertEqual(receiver.complaints, [])
            sent = replay([base64.b64decode(body) for body in browser.value("sent")])
            assert sent
            self.assertEqual([item["type"] for item, _ in parse_envelope(arrived)[1]], ["replay_event", "replay_recording"])
            self.assertEqual(items(arrived), items(sent))
            # But for the envelope's header, which comes without its DSN.
            before, after = (parse_envelope(body)[0] for body in (sent, arrived))
            self.assertEqual(before.pop("dsn"), receiver.dsn)
            self.assertLessEqual(before.pop("sent_at"), after.pop("sent_at"))
            self.assertEqual(before, after)


class Applications(unittest.TestCase):
    """SDKs of servers, whose DSN has the address of Varnish, with Kent behind it."""

    def start(self, stack: ExitStack) -> tuple[Kent, Varnishd, str, Path]:
        """Kent, a tunnel to it, the DSN of that, and a folder."""
        kent = stack.enter_context(Kent())
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        dsn = f"https://{KEY}@sentry.example/{PROJECT}"
        varnishd = stack.enter_context(Varnishd(VCL.format(port=kent.port, dsn=dsn, upstream=f"http://127.0.0.1:{kent.port}")))
        return kent, varnishd, f"http://{KEY}@127.0.0.1:{varnishd.port}/{PROJECT}", folder

    def check(self, kent: Kent, varnishd: Varnishd, sent: list[bytes], agent: str) -> None:
        """All that was sent is at Kent, byte for byte, and it has read what was written."""
        arrived = kent.wait_for(len(sent))
        bodies = [body for _, body in arrived]
        self.assertEqual(sorted(map(items, sent)), sorted(map(items, bodies)))
        self.assertTrue(any(bytes(range(256)) * 40 in body for body in bodies))
        for headers, _ in arrived:
            self.assertEqual(headers["x-sentry-forwarded-for"], "127.0.0.1")
            self.assertTrue(headers["user-agent"].startswith(agent), headers["user-agent"])
        written = [item for body in sent for item in parse_envelope(body)[1] if item[0]["type"] != "attachment"]
        read = kent.items()
        for header, payload in written:
            self.assertIn((header, json.loads(payload)), read)
        self.assertEqual(len(read), len(written))
        count = json.loads(varnishd.request("/count").body)
        self.assertEqual((count["accepted"], count["processed"], count["refused"]), (len(sent), len(sent), 0))
        self.assertEqual(count["projects"][PROJECT]["processed"], len(sent))

    def test_what_pythons_sdk_posts_arrives_byte_for_byte(self) -> None:
        with ExitStack() as stack:
            kent, varnishd, dsn, folder = self.start(stack)
            sent, encoding = sdks.run_application(dsn, folder / "sent")
            self.assertIn(encoding, ("br", "gzip"))
            self.assertGreaterEqual(len(sent), 2, "an event with its file, and a transaction")
            self.check(kent, varnishd, sent, "sentry.python/")

    def test_what_nodes_sdk_posts_arrives_byte_for_byte(self) -> None:
        with ExitStack() as stack:
            kent, varnishd, dsn, folder = self.start(stack)
            sent, encodings = sdks.run_node_application(dsn, folder / "sent")
            self.assertEqual(encodings, {"", "gzip"})
            kinds = {item["type"] for body in sent for item, _ in parse_envelope(body)[1]}
            self.assertLessEqual({"event", "attachment", "transaction", "session", "log", "check_in", "feedback"}, kinds)
            self.check(kent, varnishd, sent, "sentry.javascript.node/")


class Envelopes(unittest.TestCase):
    """`sentry-cli send-envelope`, as an operator sends again what was stored."""

    def test_what_sentry_cli_sends_arrives_byte_for_byte(self) -> None:
        id = "9ec79c33ec9942ab8353589fcb2e04dc"
        event = json.dumps({"event_id": id, "message": "stored"}).encode()
        video = b'{"segment_id":0}\n' + bytes(range(256)) * 100
        dump = {"type": "attachment", "filename": "a.dmp", "attachment_type": "event.minidump"}
        stored = [
            [({"type": "event"}, event), ({"type": "attachment", "filename": "all.bin"}, bytes(range(256)) * 40), (dump, b"MDMP\0\n\xff")],
            [({"type": "replay_event"}, b'{"type":"replay_event"}'), ({"type": "replay_recording"}, video)],
            [({"type": "not_known_yet", "content_type": "x/\u00e4", "more": [1.50]}, b"\r\n\0\xff\n\n")],
        ]
        with ExitStack() as stack:
            receiver = stack.enter_context(Receiver())
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            vcl = VCL.format(port=receiver.port, dsn=receiver.dsn, upstream="")
            varnishd = stack.enter_context(Varnishd(vcl))
            here = receiver.dsn.replace(str(receiver.port), str(varnishd.port))
            bodies = []
            for number, parts in enumerate(stored):
                body = json.dumps({"event_id": id}).encode() + b"\n"
                for header, payload in parts:
                    body += json.dumps(header | {"length": len(payload)}).encode() + b"\n" + payload + b"\n"
                bodies.append(body)
                (folder / str(number)).write_bytes(body)
            sdks.send_envelope(here, "--raw", folder / "*")
            # Without --raw it reads and writes anew.
            sdks.send_envelope(here, folder / "0")
            wait.until(lambda: len(receiver.requests) == len(stored) + 1, "all envelopes arrive")
            self.assertEqual(receiver.complaints, [])
            arrived = [items(body) for _, body in receiver.requests]
            for body in bodies:
                self.assertIn(items(body), arrived)
            self.assertEqual([event["message"] for event in receiver.wait_for(2)], ["stored", "stored"])
            for headers, _ in receiver.requests:
                self.assertTrue(headers["user-agent"].startswith("sentry-cli/"), headers["user-agent"])


if __name__ == "__main__":
    unittest.main()
