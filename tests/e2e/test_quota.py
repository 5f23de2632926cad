# SPDX-License-Identifier: BSD-2-Clause
"""A real server's quota: what it answers when a project has sent enough is obeyed, and counted."""

import json
import unittest

from .bugsink import Bugsink
from .varnishd import Varnishd

QUOTA = 3

VCL = """
vcl 4.1;

import sentry;

backend none none;

sub vcl_init {{
    sentry.init("{dsn}", throttle = 0);
}}

sub vcl_recv {{
    return (synth(200));
}}

sub vcl_synth {{
    if (req.url == "/status") {{
        set resp.body = sentry.status();
        return (deliver);
    }}
    set resp.http.X-Event-Id = sentry.capture("asked for {{1}}", p1 = req.url);
    # So that one follows the other's answer.
    sentry.flush(10s);
}}
"""


class Quota(unittest.TestCase):
    def test_what_is_over_it_is_asked_about_once_and_then_held_back(self) -> None:
        with Bugsink(QUOTA) as bugsink, Varnishd(VCL.format(dsn=bugsink.dsn)) as varnishd:
            ids = [varnishd.request(f"/{number}").headers["X-Event-Id"] for number in range(QUOTA + 4)]
            status = json.loads(varnishd.request("/status").body)[0]
            events = bugsink.wait_for(QUOTA)
            self.assertEqual(bugsink.rejected(), [])
        self.assertEqual([event["event_id"] for event in events], ids[:QUOTA])
        # Held back before it was copied, so that there is no id.
        self.assertEqual([bool(id) for id in ids], [True] * (QUOTA + 1) + [False] * 3)
        self.assertEqual(status["requests"], QUOTA + 1)
        self.assertEqual(status["sent"], QUOTA)
        self.assertEqual((status["dropped"]["rate_limited"], status["refused"]["ratelimit_backoff"]), (1, 3))
        self.assertEqual(status["state"], "rate_limited")
        self.assertGreater(status["limits"]["all"], 0)
