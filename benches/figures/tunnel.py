# SPDX-License-Identifier: BSD-2-Clause
"""How many envelopes a second a tunnel takes, beside Varnish and nginx that pass them on and the tunnel of Sentry's own JavaScript SDK.

All of them have the same sink behind them, take turns, and are driven by wrk: one thread, 16 connections, 1.9 KB. A peer that is not installed is skipped, and said.
"""

import json
import re
import shutil
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from e2e import sdks, wait
from e2e.varnishd import Varnishd, end

from . import Figure
from .tools import Sink, rounds, spread

ROUNDS = 5
SECONDS = 4
KEY = "0123456789abcdef0123456789abcdef"

VCL = """
vcl 4.1;
import sentry;
backend none none;
sub vcl_init {{
    new t = sentry.tunnel("http://{key}@127.0.0.1:{port}/42", max_rate = 0, per_client = 0, throttle = {throttle});
}}
sub vcl_recv {{
    return (synth(t.accept()));
}}
sub vcl_synth {{
    set resp.http.Content-Type = t.content_type();
    set resp.http.X-Sentry-Rate-Limits = t.rate_limits();
    set resp.body = t.response();
    return (deliver);
}}
"""

# Nothing but reading the body and answering: more than this Varnish does not do.
SYNTH = """
vcl 4.1;
import std;
backend none none;
sub vcl_recv {
    std.cache_req_body(64KB);
    return (synth(200));
}
sub vcl_synth {
    set resp.body = "{}";
    return (deliver);
}
"""

PASS = """
vcl 4.1;
backend sentry {{ .host = "127.0.0.1"; .port = "{port}"; }}
sub vcl_recv {{
    set req.url = "/api/42/envelope/";
    return (pass);
}}
"""

NGINX = """
daemon off; worker_processes 2; pid {folder}/pid; error_log {folder}/error.log;
events {{ worker_connections 512; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; client_body_buffer_size 64k;
    fastcgi_temp_path {folder}/f; uwsgi_temp_path {folder}/u; scgi_temp_path {folder}/s;
    upstream sentry {{ server 127.0.0.1:{sink}; {upstream} }}
    server {{
        listen 127.0.0.1:{port};
        location / {{ proxy_pass http://sentry/api/42/envelope/; {location} }}
    }}
}}
"""
KEEPALIVE = {"upstream": "keepalive 32;", "location": 'proxy_http_version 1.1; proxy_set_header Connection "";'}
# As it does it where nobody says anything: a connection for each request.
PLAIN = {"upstream": "", "location": ""}

# The official one: what `handleTunnelRequest` wants is a Request, what it gives is a Response.
NODE = """
import http from "node:http";
import {{ handleTunnelRequest }} from "@sentry/core";
http.createServer((request, response) => {{
    const chunks = [];
    request.on("data", (chunk) => chunks.push(chunk)).on("end", async () => {{
        const body = Buffer.concat(chunks);
        const asked = new Request("http://127.0.0.1/t", {{ method: "POST", body, headers: request.headers, duplex: "half" }});
        const answer = await handleTunnelRequest({{ request: asked, allowedDsns: ["{dsn}"] }});
        response.writeHead(answer.status).end(await answer.text());
    }});
}}).listen({port}, "127.0.0.1");
"""


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


@contextmanager
def process(command: list[str], port: int, folder: Path) -> Iterator[int]:
    """A server that listens at that port inside the block."""
    running = subprocess.Popen(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
    try:
        wait.until(lambda: answers(port), f"{command[0]} listens")
        yield port
    finally:
        end(running, 5)


def answers(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
    except OSError:
        return False
    return True


@contextmanager
def nginx(sink: int, way: dict[str, str]) -> Iterator[int]:
    with tempfile.TemporaryDirectory() as folder:
        port = free_port()
        Path(folder, "conf").write_text(NGINX.format(folder=folder, sink=sink, port=port, **way))
        with process(["nginx", "-p", folder, "-c", f"{folder}/conf"], port, Path(folder)):
            yield port


@contextmanager
def official(dsn: str) -> Iterator[int]:
    sdks.browser_script()
    port = free_port()
    program = sdks.FOLDER / "tunnel.mjs"
    program.write_text(NODE.format(dsn=dsn, port=port))
    with process(["node", str(program)], port, sdks.FOLDER):
        yield port


def envelope(dsn: str) -> bytes:
    """An error as the browser's SDK posts it, of about 1.9 KB; `src/browser.rs` has the same one."""
    frames = [
        {"filename": "https://www.example.com/static/app.min.js", "function": name, "in_app": True, "lineno": 1, "colno": 31337}
        for name in ("HTMLButtonElement.o", "t.onClick", "e.submit", "n.total")
    ]
    thrown = {"type": "TypeError", "value": "Cannot read properties of undefined (reading 'price')", "stacktrace": {"frames": frames}}
    crumb = {"timestamp": 1767225599.5, "category": "ui.click", "message": "body > div#app > main.cart > button.buy"}
    agent = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"
    event = {
        "exception": {"values": [thrown]},
        "event_id": "fc6d8c0c43fc4630ad850ee518f1b9d0",
        "level": "error",
        "platform": "javascript",
        "request": {"url": "https://www.example.com/checkout/step-2?cart=12345", "headers": {"User-Agent": agent}},
        "timestamp": 1767225600.123,
        "environment": "production",
        "release": "shop@1.2.3",
        "breadcrumbs": [crumb] * 5,
    }
    header = {"event_id": event["event_id"], "sent_at": "2026-01-01T00:00:00.123Z", "dsn": dsn}
    return "\n".join([json.dumps(header), json.dumps({"type": "event"}), json.dumps(event)]).encode()


def rate(port: int, script: Path) -> float:
    """Answers with a good status per second."""
    command = ["wrk", "-t1", "-c16", f"-d{SECONDS}s", "-s", str(script), f"http://127.0.0.1:{port}/t"]
    told = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", told)
    found = re.search(r"(\d+) requests in ([\d.]+)s", told)
    assert found, told
    return (int(found[1]) - (int(bad[1]) if bad else 0)) / float(found[2])


def figures() -> list[Figure]:
    if not shutil.which("wrk"):
        return [Figure("envelopes a second", "wrk is not installed")]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        sink = stack.enter_context(Sink())
        sink.tell("answer")
        dsn = f"http://{KEY}@127.0.0.1:{sink.port}/42"
        script = folder / "post.lua"
        (folder / "body").write_bytes(envelope(dsn))
        script.write_text(f'wrk.method = "POST"\nwrk.headers["Content-Type"] = "text/plain;charset=UTF-8"\nlocal f = io.open("{folder}/body", "rb")\nwrk.body = f:read("*a")\n')
        servers = {
            "ours": stack.enter_context(Varnishd(VCL.format(key=KEY, port=sink.port, throttle=10))).port,
            "all": stack.enter_context(Varnishd(VCL.format(key=KEY, port=sink.port, throttle=0))).port,
            "synth": stack.enter_context(Varnishd(SYNTH)).port,
            "pass": stack.enter_context(Varnishd(PASS.format(port=sink.port))).port,
        }
        if shutil.which("nginx"):
            servers["nginx"] = stack.enter_context(nginx(sink.port, KEEPALIVE))
            servers["plain nginx"] = stack.enter_context(nginx(sink.port, PLAIN))
        if shutil.which("node"):
            servers["official"] = stack.enter_context(official(dsn))
        rates: dict[str, list[float]] = {name: [] for name in servers}
        for _ in range(rounds(ROUNDS)):
            for name, port in servers.items():
                rates[name].append(rate(port, script))
                time.sleep(0.5)
    return told(rates)


def told(rates: dict[str, list[float]]) -> list[Figure]:
    found = [
        Figure("envelopes of 1.9 KB that a tunnel takes per second, of one error: ten go on, the rest is counted", spread(rates["ours"]), data={"ours a second": rates["ours"]}),
        Figure("… without a throttle: all are queued, the sender sends what the sink takes", spread(rates["all"]), data={"without a throttle a second": rates["all"]}),
        Figure("… Varnish, which reads the body and answers", spread(rates["synth"]), data={"synth a second": rates["synth"]}),
        Figure("… Varnish, return (pass)", spread(rates["pass"]), data={"pass a second": rates["pass"]}),
    ]
    peers = (
        ("nginx", "nginx, proxy_pass with keepalive", 1.2),
        ("plain nginx", "nginx, proxy_pass alone: a connection for each", 1.2),
        ("official", "`handleTunnelRequest` of @sentry/core, Node", 15),
    )
    for peer, name, goal in peers:
        if peer not in rates:
            found.append(Figure(f"… {name}", "not installed"))
            continue
        found.append(Figure(f"… {name}", spread(rates[peer]), data={f"{peer} a second": rates[peer]}))
        ratio = [ours / theirs for ours, theirs in zip(rates["ours"], rates[peer])]
        found.append(Figure("… ours over it", spread(ratio, 1), f"≥ {goal}", statistics.median(ratio) >= goal, {f"ours over {peer}": ratio}))
    return found
