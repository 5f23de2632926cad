# SPDX-License-Identifier: BSD-2-Clause
"""The status page in a real browser, served by the VCL of the manual."""

import base64
import hashlib
import re
import socket
import textwrap
import unittest
from contextlib import ExitStack

from . import ROOT, wait
from .browser import Browser
from .origin import Origin
from .receiver import Receiver
from .varnishd import Varnishd

ENTRIES = 'document.querySelectorAll("article[data-name=sm] tbody tr").length'
SCROLLS = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
# A name that would be markup, if somebody took it for that.
MARKUP = "/<img/src=x/onerror=document.title='hurt'>"


def example() -> str:
    """The VCL of the manual that serves the page."""
    manual = (ROOT / "saintmode" / "vmod.vcc").read_text()
    entry = manual.partition("$Function STRING page()")[2].partition("$Function")[0]
    return textwrap.dedent(re.search(r"^  vcl 4\.1;.*", entry, re.MULTILINE | re.DOTALL)[0])


def vcl(text: str, origin: Origin, receiver: Receiver | None, threshold: int) -> str:
    """That VCL with an origin of ours, entries for what fails there, and Sentry or none."""
    text = text.replace('.host = "192.0.2.11";', f'.host = "127.0.0.1"; .port = "{origin.port}";')
    text = text.replace("(one, 100);", f"(one, {threshold});\n    new other = saintmode.saintmode(one, 0);")
    if receiver:
        text = text.replace("sub vcl_init {", f'sub vcl_init {{\n    sentry.init("{receiver.dsn}"); new browsers = sentry.tunnel("{receiver.dsn}");')
    else:
        text = text.replace("import sentry;\n", "").replace("synthetic(sentry.status());", "set resp.status = 404;")
    return text + (
        "sub vcl_recv { return (pass); }\n"
        "import std;\n"
        "sub vcl_backend_response { if (beresp.status >= 500) {"
        ' saintmode.denylist(std.duration(bereq.http.For, 1h)); return (deliver); } }\n'
        "sub vcl_backend_error { saintmode.observe(); }\n"
    )


class Page(unittest.TestCase):
    def setUp(self) -> None:
        self.stack = ExitStack()
        self.addCleanup(self.stack.close)
        self.origin = self.stack.enter_context(Origin("one"))

    def serve(self, receiver: Receiver | None, threshold: int = 100) -> tuple[Varnishd, Browser]:
        varnishd = self.stack.enter_context(Varnishd(vcl(example(), self.origin, receiver, threshold)))
        return varnishd, self.stack.enter_context(Browser())

    def deny(self, varnishd: Varnishd, path: str, seconds: str = "1h") -> None:
        self.origin.faults[path.partition("?")[0]] = 503
        varnishd.request(path, headers={"For": seconds})

    def test_entries_show_and_count_down_at_every_width(self) -> None:
        varnishd, browser = self.serve(self.stack.enter_context(Receiver()))
        long = "/a/path/that/goes/on/" + "and-on-" * 12
        for path, seconds in (("/checkout?cart=1", "90s"), (long, "1h"), (MARKUP, "2d")):
            self.deny(varnishd, path, seconds)
        self.assertEqual(varnishd.request("/checkout?cart=1").status, 503)
        url = f"http://127.0.0.1:{varnishd.port}/saintmode/"
        for width, height in ((390, 844), (1280, 800)):
            for dark in (False, True):
                with self.subTest(width=width, dark=dark):
                    browser.size(width, height, dark)
                    browser.open(url)
                    wait.until(lambda: browser.value(ENTRIES) == 3, "three entries show")
                    self.assertLessEqual(browser.value(SCROLLS), 0, "scrolls sideways")
                    wait.until(lambda: browser.value("!document.getElementById('sentry').hidden"), "the client shows")
                    self.assertLessEqual(browser.value(SCROLLS), 0, "scrolls sideways with the client")
        text = browser.value("document.querySelector('article').innerText")
        self.assertIn("shop.example/checkout?", text)
        self.assertIn("<img/src=x/onerror=", text)
        self.assertEqual(browser.value("document.querySelectorAll('img').length"), 0)
        self.assertIn("3 of 100 denied", text)
        self.assertIn("refused 1 for the object", text)
        clients = browser.value("document.getElementById('clients').innerText")
        self.assertRegex(clients, r"default\s+ok\s+0 of 1000")
        self.assertRegex(clients, r"browsers\s+ok\s+0 of 1000")
        first = "parseFloat(document.querySelector('article td.ttl span').textContent)"
        begin = browser.value(first)
        self.assertTrue(0 < begin <= 90, begin)
        wait.until(lambda: browser.value(first) < begin - 1, "the time left becomes less")
        self.assertEqual(browser.problems, [])

    def test_a_trip_shows_without_a_reload_and_without_sentry(self) -> None:
        varnishd, browser = self.serve(None, threshold=2)
        browser.size(390, 844)
        browser.open(f"http://127.0.0.1:{varnishd.port}/saintmode/")
        state = "document.querySelector('article[data-name=sm] .state')?.textContent"
        wait.until(lambda: browser.value(state) == "healthy", "the object shows")
        for path in ("/a", "/b"):
            self.deny(varnishd, path)
        wait.until(lambda: browser.value(state) == "sick", "the trip shows")
        self.assertEqual(browser.value("document.querySelectorAll('article[data-name=sm] .trips i').length"), 1)
        self.assertTrue(browser.value("document.getElementById('sentry').hidden"))
        text = "document.querySelector('article[data-name=sm]').innerText"
        self.assertNotIn("by the operator", browser.value(text))
        varnishd.adm("backend.set_health", "sm", "healthy")
        wait.until(lambda: "set healthy by the operator" in browser.value(text), "what the operator said shows")
        # What is not there is asked for in vain, and that is all.
        self.assertEqual([problem for problem in browser.problems if "404" not in problem], [])

    def test_failures_that_do_not_count_show_once_there_are_some(self) -> None:
        varnishd, browser = self.serve(None)
        browser.open(f"http://127.0.0.1:{varnishd.port}/saintmode/")
        counts = "document.querySelector('article[data-name=sm] .counts')?.textContent ?? ''"
        wait.until(lambda: browser.value(counts), "the object shows")
        self.assertNotIn("do not count", browser.value(counts))
        # A chunk that is none.
        with socket.create_connection(("127.0.0.1", varnishd.port), timeout=60) as upload:
            upload.sendall(b"POST /upload HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nzz\r\n")
            self.assertIn(b" 503 ", upload.recv(100))
        wait.until(lambda: "that do not count: 1 no attempt ·" in browser.value(counts), "the first shows, and it alone")
        varnishd.adm("param.set", "vsl_mask", "-FetchError")
        self.origin.faults["/reset"] = "reset"
        self.assertEqual(varnishd.request("/reset").status, 503)
        wait.until(lambda: "that do not count: 1 no attempt, 1 unjudged ·" in browser.value(counts), "the other shows, too")
        self.assertEqual([problem for problem in browser.problems if "404" not in problem], [])

    def test_more_entries_than_a_page_has_come_page_by_page(self) -> None:
        varnishd, browser = self.serve(None, threshold=1000)
        for number in range(230):
            self.deny(varnishd, f"/some/rather/long/path/of/an/object/number-{number}")
        browser.size(1280, 800)
        browser.open(f"http://127.0.0.1:{varnishd.port}/saintmode/")
        wait.until(lambda: browser.value(ENTRIES) == 200, "the first 200 entries show")
        self.assertIn("and 30 more", browser.value("document.querySelector('article').innerText"))

    def test_the_policy_blocks_what_is_not_the_page(self) -> None:
        varnishd, browser = self.serve(None)
        answer = varnishd.request("/saintmode/")
        self.assertEqual(answer.headers["Content-Type"], "text/html; charset=utf-8")
        script = varnishd.request("/saintmode/page.js").body.encode()
        source = f"'sha256-{base64.b64encode(hashlib.sha256(script).digest()).decode()}'"
        self.assertIn(f"script-src {source};", answer.headers["Content-Security-Policy"])
        browser.open(f"http://127.0.0.1:{varnishd.port}/saintmode/")
        wait.until(lambda: browser.value("document.querySelectorAll('article').length") == 2, "the page shows")
        browser.value("document.body.append(Object.assign(document.createElement('script'), {textContent: 'window.hurt = 1'}))")
        self.assertIsNone(browser.value("window.hurt"))
        wait.until(lambda: browser.value("1") and any("Content Security Policy" in text for text in browser.problems), "it is blocked")
