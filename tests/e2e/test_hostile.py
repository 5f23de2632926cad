# SPDX-License-Identifier: BSD-2-Clause
"""Random bytes wherever traffic or VCL can have them: Bugsink and Sentry's normalizer refuse and cut nothing."""

import random
import socket
import socketserver
import threading
import unittest

from . import relay, wait
from .bugsink import Bugsink
from .receiver import Receiver
from .varnishd import Varnishd

REQUESTS = 240

VCL = """
vcl 4.1;

import blob;
import sentry;

backend wild {{ .host = "127.0.0.1"; .port = "{port}"; }}

sub vcl_init {{
    sentry.init("{bugsink}", throttle = 0, max_rate = 0);
    sentry.privacy(send_default_pii = true);
    # What was sent, byte for byte.
    new copy = sentry.client("{receiver}", throttle = 0, max_rate = 0);
    copy.privacy(send_default_pii = true);
    sentry.set_extra("vcl", "{padding}");
}}

sub vcl_recv {{
    if (req.method == "PUT") {{
        return (synth(601));
    }}
    return (pass);
}}

# The arguments come in hex, so that they can be any bytes but NUL; what is absent is unset.
sub vcl_synth {{
    sentry.set_tag({name1}, {value1});
    sentry.set_tag("tag", {value2});
    sentry.set_extra({name2}, {value3});
    sentry.set_extra("extra", {value1});
    sentry.set_user(id = {value1}, email = {value2}, username = {value3}, ip_address = {name1});
    sentry.set_context({name1}, {name2}, {value2});
    sentry.set_context("trace", {name2}, {value1});
    sentry.set_context("response", {name1}, {value3});
    sentry.set_context("varnish", "type", {value1});
    sentry.set_fingerprint({name1});
    sentry.set_transaction({value3});
    sentry.add_breadcrumb({value1}, category = {name2});
    sentry.add_breadcrumb({value2}, category = {name1}, level = debug);
    set resp.status = 599;
    set resp.reason = req.http.Reason;
    set resp.http.Wild = req.http.Reason;
    if (req.http.Kind == "exception") {{
        sentry.capture_exception({name1}, {value2});
        copy.capture_exception({name1}, {value2});
    }} else {{
        sentry.capture({value1} + " {{1}}{{2}}{{3}}{{9}}", p1 = {value2}, p2 = {name1}, p4 = {value3});
        copy.capture({value1} + " {{1}}{{2}}{{3}}{{9}}", p1 = {value2}, p2 = {name1}, p4 = {value3});
    }}
}}

sub vcl_backend_response {{
    sentry.capture("wild");
    copy.capture("wild");
}}

sub vcl_backend_error {{
    sentry.capture("error");
    copy.capture("error");
}}
"""

NAMES = """
    Host Cookie Set-Cookie Referer Origin Location Link Authorization X-Forwarded-For X-Forwarded-Proto Forwarded Via
    Content-Type User-Agent Accept Range Cache-Control X-Request-Id X-Data X-Any traceparent baggage sentry-trace
""".split()
ARGUMENTS = ("name1", "name2", "value1", "value2", "value3")
METHODS = ("GET", "POST", "PURGE", "X", "M-SEARCH", "get", "A" * 40, "B(R)", "PRI*")
# What the formats are made of, and bytes that are no text.
PIECES = b"% %2 %41 %00 = & ; ? // :// @ : { } \" ' \\ [ < > , .. - token= 1.2.3.4 ::1 {1} {\"a\": eyJ latest".split()
PIECES += [b"{{ default }}", "ä\u2028😀".encode(), b"\xff", b"\xed\xa0\x80"]
LENGTHS = (1, 63, 64, 65, 128, 199, 200, 201, 256, 257, 1024, 9000)


class Bytes:
    """Random bytes of the kinds that break things: of any value, of what formats are made of, very long."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def any(self, allowed: bytes) -> bytes:
        pick = self.random
        kind = pick.randrange(5)
        if kind == 0:
            return bytes(pick.choices(allowed, k=pick.randrange(60)))
        if kind == 1:
            return bytes(pick.choices(allowed, k=1)) * pick.choice(LENGTHS)
        made = b"".join(pick.choices(PIECES, k=pick.randrange(1, 30 if kind < 4 else 1200)))
        return bytes(byte for byte in made if byte in allowed)

    def header(self) -> bytes:
        return self.any(bytes((9, *range(32, 127), *range(128, 256)))).strip(b"\t ")

    def url(self) -> bytes:
        return self.any(bytes((*range(33, 127), *range(128, 256))))

    def argument(self) -> bytes:
        return self.any(bytes(range(1, 256))).hex().encode()

    def headers(self) -> list[bytes]:
        names = self.random.choices(NAMES, k=self.random.randrange(30))
        return [name.encode() + b": " + self.header() for name in names]

    def request(self) -> bytes:
        pick = self.random
        synth = pick.randrange(2)
        method = "PUT" if synth else pick.choice(METHODS)
        scheme = pick.choice((b"/", b"/", b"http://a@b/", b"*", b"https://"))
        lines = [method.encode() + b" " + scheme + self.url() + b" HTTP/1.1", b"Connection: close", *self.headers()]
        if b"Host" not in {line.partition(b":")[0] for line in lines}:
            lines.append(b"Host: shop.example")
        if synth:
            lines += [name.encode() + b": " + self.argument() for name in ARGUMENTS if pick.randrange(9)]
            lines += [b"Reason: " + self.header(), b"Kind: " + pick.choice((b"exception", b"message"))]
        return b"\r\n".join([*lines, b"", b""])


class Wild(socketserver.ThreadingTCPServer):
    """An origin whose responses have random headers; it closes after each."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, seed: int) -> None:
        self.bytes, self.lock = Bytes(seed), threading.Lock()
        super().__init__(("127.0.0.1", 0), Answer)


class Answer(socketserver.StreamRequestHandler):
    server: Wild

    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        with self.server.lock:
            status = b"HTTP/1.1 %d " % self.server.bytes.random.randrange(200, 600) + self.server.bytes.header()
            lines = [status, *self.server.bytes.headers(), b"Content-Length: 0", b"Connection: close", b"", b""]
        self.wfile.write(b"\r\n".join(lines))


class Hostile(unittest.TestCase):
    maxDiff = None
    """As many requests as it takes to find what one in a hundred does, from another seed each time."""

    @classmethod
    def setUpClass(cls) -> None:
        cls.seed = random.randrange(1 << 32)
        cls.bugsink = cls.enterClassContext(Bugsink())
        receiver = cls.enterClassContext(Receiver())
        origin = cls.enterClassContext(Wild(cls.seed + 1))
        threading.Thread(target=origin.serve_forever, daemon=True).start()
        cls.addClassCleanup(origin.shutdown)
        arguments = {name: f"blob.transcode(decoding = HEX, encoded = req.http.{name})" for name in ARGUMENTS}
        servers = {"bugsink": cls.bugsink.dsn, "receiver": receiver.dsn, "port": origin.server_address[1]}
        vcl = VCL.format(padding="v" * 9000, **servers, **arguments)
        room = {"http_req_hdr_len": "64k", "http_resp_hdr_len": "64k", "http_req_size": "1m", "http_resp_size": "1m"}
        room |= {"workspace_client": "2m", "workspace_backend": "2m"}
        cls.varnishd = cls.enterClassContext(Varnishd(vcl, parameters=room))
        made = Bytes(cls.seed)
        for _ in range(REQUESTS):
            ask(cls.varnishd.port, made.request())
        wait.until(cls.delivered, "all events are delivered")
        cls.counters = cls.varnishd.counters()
        cls.events = receiver.events

    @classmethod
    def delivered(cls) -> bool:
        counters = cls.varnishd.counters()
        clients = ("SENTRY.default", "SENTRY.copy")
        return all(counters[f"{client}.captured"] == counters[f"{client}.sent"] for client in clients)

    def test_many_requests_were_captured_and_no_event_was_lost(self) -> None:
        # Some requests are none to varnishd, and some arguments none to the module.
        self.assertGreater(len(self.events), REQUESTS // 2)
        for name in ("default", "copy"):
            self.assertEqual(self.counters[f"SENTRY.{name}.sent"], len(self.events), f"seed {self.seed}")
        self.assertEqual(self.counters["VMOD_SENTRY.panics"], 0)
        self.assertEqual(self.counters["MGT.child_panic"], 0)

    def test_bugsink_took_every_event(self) -> None:
        self.assertEqual(self.bugsink.rejected(), [], f"seed {self.seed}")
        self.assertEqual(self.bugsink.count(), len(self.events))

    def test_sentry_itself_would_neither_refuse_nor_cut_a_field(self) -> None:
        self.assertEqual(relay.complaints(self.events), [], f"seed {self.seed}")


def ask(port: int, request: bytes) -> None:
    """Sends `request` and waits for the end of whatever comes back."""
    with socket.create_connection(("127.0.0.1", port), timeout=60) as connection:
        try:
            connection.sendall(request)
            while connection.recv(65536):
                pass
        except ConnectionError:
            # What is no request to varnishd it need not read to its end.
            pass
