# SPDX-License-Identifier: BSD-2-Clause
"""The site: its clients, and a VCL in which every sub makes the calls that a request asks for and tells them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Client:
    """A client of the VCL, and what the soak may know of it."""

    name: str
    # How the VCL calls its methods.
    call: str
    # What does not arrive waits on disk, so that the end of a child takes nothing of it.
    has_spool: bool
    # Every call is told: else only what was captured is accounted for.
    is_told: bool = True
    # It is behind a tunnel: what it counts are items.
    is_tunnel: bool = False
    # For how many a request of it may count at most.
    most_at_once: int = 1


CLIENTS = [
    Client("default", "sentry", has_spool=True),
    Client("plain", "plain", has_spool=False),
    Client("small", "small", has_spool=False),
    # Watches all that happens, trips of saintmode included, also where a request is left half way.
    Client("wild", "wild", has_spool=True, is_told=False),
    Client("front", "front", has_spool=True, is_tunnel=True, most_at_once=4),
    # Has bounds that are met, and reports that are left half way.
    Client("side", "side", has_spool=False, is_told=False, is_tunnel=True, most_at_once=4),
]
TUNNELS = [client for client in CLIENTS if client.is_tunnel]
TOLD = [client for client in CLIENTS if client.is_told]
CALLED = [client for client in TOLD if not client.is_tunnel]

# A call of each kind, with what it tells of itself.
KINDS = {
    "message": '{made} = {made} + " {name}/message=" + {call}.capture("message to {{1}}", level = warning, p1 = {url});',
    "exception": '{made} = {made} + " {name}/exception=" + {call}.capture_exception("Error", "at " + {url});',
    "throttled": '{made} = {made} + " {name}/throttled=" + {call}.capture("always the same, at {{1}}", p1 = {url});',
    "ignored": '{made} = {made} + " {name}/ignored=" + {call}.capture("noise");',
    "rare": '{made} = {made} + " {name}/rare=" + {call}.capture("seen often", after = 4, within = 1h);',
    "nothing": '{made} = {made} + " {name}/nothing=" + {call}.capture("");',
    "large": """
        {call}.set_extra("large", "{large}");
        {call}.set_extra("larger", "{large}");
        {call}.set_extra("largest", "{large}");
        {made} = {made} + " {name}/large=" + {call}.capture("large, at " + {url});""",
    "dressed": """
        {call}.set_tag("kind", "dressed");
        {call}.set_extra("gone", {url});
        {call}.set_user(id = "7", email = "a@example.com", ip_address = "192.0.2.7");
        {call}.set_context("shop", "cart", {url});
        {call}.set_level(warning);
        {call}.set_fingerprint("dressed", {url});
        {call}.set_transaction("dressed");
        {call}.add_breadcrumb("on the way to " + {url});
        {made} = {made} + " {name}/dressed=" + {call}.capture("dressed for {{1}}", p1 = {url});""",
    "watched": """
        {call}.watch();
        std.log("fault of " + {url});
        {made} = {made} + " {name}/watched=~";""",
}
# How often each is asked for; one that is watched only where the task makes no other call.
SHARES = {"message": 8, "exception": 6, "throttled": 5, "ignored": 3, "rare": 6, "nothing": 1, "large": 1, "dressed": 4}
WATCHED = "watched"

VCL = """
vcl 4.1;

# %(comment)s
import directors;
import saintmode;
import sentry;
import std;

backend one { .host = "127.0.0.1"; .port = "%(one)s"; }
backend two { .host = "127.0.0.1"; .port = "%(two)s"; }
backend web { .host = "127.0.0.1"; .port = "%(web)s"; .first_byte_timeout = 10s; }
# Nobody listens there.
backend gone { .host = "127.0.0.1"; .port = "%(gone)s"; }

sub vcl_init {
    sentry.init("%(default)s", throttle = 3, window = 5s, max_rate = 0, environment = "%(environment)s");
    sentry.server(%(server)s);
    sentry.queue(events = %(events)s);
    # It is full at times, and empty half a minute after all is well.
    sentry.spool(folder = "%(default_folder)s", bytes = 1MB);
    sentry.lifecycle("vcl, start, death", state_dir = "%(state_dir)s");
    sentry.privacy(max_request_body = 2KB);
    sentry.set_tag("site", "soak");
    sentry.ignore(message = "^noise");
    sentry.before_send(message = "^dressed", remove = "^extra\\.gone$", set_level = info);
    sentry.rule(tag = "VCL_Log", match = "^fault");

    new plain = sentry.client("%(plain)s", throttle = 0, max_rate = 15, environment = "%(environment)s");
    plain.server(%(server)s);
    plain.task_log(form = attachment);

    new small = sentry.client("%(small)s", throttle = 0, max_rate = 0, sample_rate = 0.8);
    small.server(%(server)s);
    small.queue(events = 20, bytes = 64KB);
    small.task_log(form = none);

    new wild = sentry.client("%(wild)s");
    wild.server(%(server)s);
    wild.queue(events = 100);
    wild.spool(folder = "%(wild_folder)s", bytes = 1MB);
    wild.privacy(send_default_pii = true, anonymize_ip = true);
    wild.task_log(form = both);
    wild.rule("VCL_Log", "^saintmode: \\S+ is sick: ", name = "saintmode");

    new front = sentry.tunnel("%(front)s", throttle = 10, window = %(window)s, max_rate = 0, per_client = 0, share = "2=0.5",
        max_body = 100KB, drop_items = "profile");
    front.ignore(message = "^ignored", builtin = true);
    front.server(%(server)s);
    front.queue(events = 100);
    front.spool(folder = "%(front_folder)s", bytes = 1MB);

    new side = sentry.tunnel("%(side)s", by = url, throttle = 20, max_rate = 20, per_client = 0, max_body = 40KB, body_timeout = 1s,
        max_readers = 6);
    side.server(%(server)s);
    side.queue(events = 20, bytes = 64KB);

    new sm1 = saintmode.saintmode(one, 20, group = "shop", max_sick_percent = 50, on = "5xx, error", ttl = 200ms, max_ttl = 2s,
        half_open = true, max_failure_percent = 50, min_requests = 20, window = 2s, keep = "shop");
    new sm2 = saintmode.saintmode(two, 20, group = "shop", max_sick_percent = 50, on = "5xx, error", ttl = 200ms, max_ttl = 2s,
        half_open = true, max_failure_percent = 50, min_requests = 20, window = 2s);
    new pool = directors.random();
    pool.add_backend(sm1.backend(), 1);
    pool.add_backend(sm2.backend(), 1);
}

sub vcl_recv {
    wild.watch(builtin = true);
    if (req.esi_level > 0) {
        # It begins with the headers of its page.
        set req.http.Where = "synth";
        unset req.http.Restarts;
    }
    if (req.url ~ "^/api/") {
        if (req.http.Tunnel == "side") { return (synth(side.accept())); }
        return (synth(front.accept()));
    }
    if (req.url ~ "^/count") { return (synth(702)); }
    if (req.http.Where == "recv") { call client_calls; }
    if (req.url ~ "^/call") { return (synth(200)); }
    if (req.url ~ "^/fail") {
        # The daemon finds each of these.
        std.log("failure on demand");
        return (fail);
    }
    if (req.url ~ "^/status") { return (synth(700)); }
    if (req.url ~ "^/report") { return (synth(701)); }
    if (req.url ~ "^/flush") {
        set req.http.Flushed = plain.flush(20ms);
        return (synth(200));
    }
    set req.backend_hint = web;
    if (req.method == "PURGE") { return (purge); }
    if (req.url ~ "^/pipe") { return (pipe); }
    if (req.http.Cache-Body && req.restarts == 0) { std.cache_req_body(64KB); }
    if (req.url ~ "^/pass") { return (pass); }
    return (hash);
}

sub vcl_hash {
    if (req.http.Where == "hash") { call client_calls; }
    hash_data(req.url);
    return (lookup);
}

sub vcl_pipe {
    if (req.http.Where == "pipe") { call client_calls; }
    # The origin tells it.
    set bereq.http.Made = req.http.Made;
    set bereq.http.Connection = "close";
}

sub vcl_purge {
    sm1.allow();
    sm2.allow();
}

sub vcl_hit { if (req.http.Where == "hit") { call client_calls; } }
sub vcl_miss { if (req.http.Where == "miss") { call client_calls; } }
sub vcl_pass { if (req.http.Where == "pass") { call client_calls; } }

sub vcl_backend_fetch {
    wild.watch(builtin = true);
    set bereq.http.Attempt = bereq.retries;
    set bereq.http.sentry-trace = sentry.trace_header();
    set bereq.http.baggage = sentry.baggage_header();
    if (bereq.url ~ "^/shop/") { set bereq.backend = pool.backend(); }
    if (bereq.http.Do == "refuse") { set bereq.backend = gone; }
    if (bereq.http.Do == "hang") { set bereq.first_byte_timeout = 300ms; }
    if (bereq.http.Do == "stall") { set bereq.between_bytes_timeout = 300ms; }
    if (bereq.http.Where == "fetch") { call fetch_calls; }
}

sub vcl_backend_response {
    if (bereq.url ~ "^/shop/") {
        saintmode.observe();
        if (bereq.http.Deny) { saintmode.denylist(std.duration(bereq.http.Deny)); }
    }
    if (bereq.http.Where == "response") { call fetch_calls; }
    set beresp.http.Made-Fetch = bereq.http.Made-Fetch;
    if (beresp.status >= 500 && bereq.retries < 2) {
        wild.watch(builtin = true);
        return (retry);
    }
    if (beresp.http.Esi) { set beresp.do_esi = true; }
    set beresp.ttl = 1s;
    set beresp.grace = 2s;
    if (bereq.url ~ "^/(miss|large|page|pass)") { set beresp.uncacheable = true; }
}

sub vcl_backend_error {
    if (bereq.url ~ "^/shop/") { saintmode.observe(); }
    if (bereq.http.Where == "error") { call fetch_calls; }
    set beresp.http.Made-Fetch = bereq.http.Made-Fetch;
    set beresp.http.Why = sentry.fetch_error();
    set beresp.uncacheable = true;
}

sub vcl_deliver {
    if (req.http.Where == "deliver") { call client_calls; }
    if (req.restarts < std.integer(req.http.Restarts, 0)) { return (restart); }
    set resp.http.Made = req.http.Made;
    # What is stored was told to who asked first.
    if (obj.hits > 0) { unset resp.http.Made-Fetch; }
    if (req.url ~ "^/shop/") { set resp.http.Healthy = sm1.is_healthy() + " " + sm2.is_healthy(); }
}

sub vcl_synth {
    if (req.url ~ "^/api/") {
        if (req.http.Tunnel == "side") {
            set resp.http.Result = side.result();
            set resp.http.X-Sentry-Rate-Limits = side.rate_limits();
            set resp.body = side.body();
        } else {
            set resp.http.Result = front.result();
            set resp.http.X-Sentry-Rate-Limits = front.rate_limits();
            set resp.body = front.body();
        }
        return (deliver);
    }
    if (req.http.Where == "synth") { call client_calls; }
    set resp.http.Made = req.http.Made;
    if (resp.status == 700) {
        set resp.status = 200;
        synthetic(sentry.status());
    } elsif (resp.status == 701) {
        set resp.status = 200;
        synthetic(saintmode.report(limit = 50));
    } elsif (resp.status == 702) {
        set resp.status = 200;
        synthetic({"{"front":"} + front.count() + {","side":"} + side.count() + "}");
    } else {
        synthetic("by the cache: " + req.http.Made + " ");
    }
    return (deliver);
}

sub vcl_fini {
    plain.capture("generation ends", level = info);
}
"""


def calls(sub: str, side: str, made: str) -> str:
    """A sub that makes the call that the headers Client and Kind ask for."""
    lines = [f"sub {sub} {{"]
    for client in CALLED:
        lines.append(f'if ({side}.http.Client == "{client.name}") {{')
        for kind, statement in KINDS.items():
            values = {"made": made, "name": client.name, "call": client.call, "url": f"{side}.url", "large": "x" * 10000}
            lines.append(f'if ({side}.http.Kind == "{kind}") {{ {statement.format(**values)} }}')
        lines.append("}")
    lines.append("}")
    return "\n".join(lines).replace(f"{made} = {made}", f"set {made} = {made}") + "\n"


def vcl(**settings: object) -> str:
    """The VCL with these settings: addresses, folders, and what a reload may change."""
    made = calls("client_calls", "req", "req.http.Made") + calls("fetch_calls", "bereq", "bereq.http.Made-Fetch")
    head, _, rest = (VCL % settings).partition("\nsub vcl_recv")
    return f"{head}\n{made}\nsub vcl_recv{rest}"
