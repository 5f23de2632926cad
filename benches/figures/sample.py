# SPDX-License-Identifier: BSD-2-Clause
"""The request of the sample event, and VCL that makes many calls in one request."""

from e2e.receiver import KEY

MESSAGE = "backend b1 fetch failed: 503"

TARGET = "/checkout/step-2?cart=12345&ref=mail"

# src/sample.rs has the same ones.
HEADERS = {
    "Host": "www.example.com",
    "User-Agent": "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36",
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
    "Accept-Language": "en-US,en;q=0.5",
    "Accept-Encoding": "gzip, deflate, br",
    "Referer": "https://www.example.com/catalog?page=3",
    "Connection": "keep-alive",
    "X-Forwarded-For": "203.0.113.9, 10.0.0.1",
    "X-Forwarded-Proto": "https",
    "X-Request-Id": "7f9c2ba4-e88f-4f5a-9c0e-0a1b2c3d4e5f",
    "Cache-Control": "max-age=0",
    "Upgrade-Insecure-Requests": "1",
    "Sec-Fetch-Dest": "document",
    "Sec-Fetch-Mode": "navigate",
    "Sec-Fetch-Site": "same-origin",
    "Sec-Fetch-User": "?1",
    "If-None-Match": '"33a64df551425fcc55e4d42a148795d9f25f89d4"',
    "Cookie": "sid=0123456789abcdef; theme=dark; cart=1.2.3.4",
    "X-Country": "NL",
    "X-Device": "desktop",
}

TAGS = {
    "tenant": "shop",
    "datacenter": "ams3",
    "route": "checkout",
    "device": "desktop",
    "proto": "HTTP/1.1",
    "cache": "miss",
}

PARAMETERS = {"thread_pools": "1", "thread_pool_min": "10", "workspace_client": "256k", "timeout_idle": "300"}


def dsn(port: int) -> str:
    return f"http://{KEY}@127.0.0.1:{port}/1"


def freely(port: int) -> str:
    """Settings for vcl_init: no flood control, and a queue that is never in the way."""
    return (
        f'sentry.init("{dsn(port)}", throttle = 0, max_rate = 0); sentry.queue(events = 65536, bytes = 1GB); '
        "sentry.server(timeout = 300s, shutdown_timeout = 0s);"
    )


def loop(name: str, call: str, most: int = 1000) -> str:
    """Subs of VCL that make 10, 100 and so on, up to `most`, of a call: `call NAME_100;`"""
    subs, times = [f"sub {name}_10 {{ {call * 10}}}"], 10
    while times < most:
        subs.append(f"sub {name}_{times * 10} {{ {f'call {name}_{times}; ' * 10}}}")
        times *= 10
    return "\n".join(subs)


def vcl(settings: str) -> str:
    """VCL with these settings that answers every request by itself, after setting the six tags. The method says what else it
    does: CAPTURE 100 captures, MANY 1000, EMPTY 1000 calls of the emptiest function of a VMOD there is."""
    tags = "\n    ".join(f'sentry.set_tag("{name}", "{value}");' for name, value in TAGS.items())
    return f"""vcl 4.1;
import sentry;
import std;
backend default none;
sub vcl_init {{ {settings} }}
{loop("capture", f'sentry.capture("{MESSAGE}"); ')}
{loop("empty", "std.late_100_continue(false); ")}
sub vcl_recv {{
    {tags}
    if (req.method == "CAPTURE") {{ call capture_100; }}
    if (req.method == "MANY") {{ call capture_1000; }}
    if (req.method == "EMPTY") {{ call empty_1000; }}
    return (synth(200));
}}
sub vcl_synth {{
    synthetic("");
    return (deliver);
}}
"""
