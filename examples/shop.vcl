# SPDX-License-Identifier: BSD-2-Clause
# Shows: a shop on two application servers. A page that fails on one is fetched from the other, and if both fail customers get the copy of
# yesterday. Who gets an error sees a number that finds it in Sentry. The events have no secrets in them, spare the quota, and a reload of
# the VCL forgets nothing.
# Change: hosts and ports of the backends, the probe's URL, the DSN, the cookies and paths of the shop in vcl_recv, who may see the status
# page, and the bounds in vcl_init if the shop has more than some thousand pages.
vcl 4.1;

import directors;
import saintmode;
import sentry;

probe alive { .url = "/health"; .interval = 5s; .timeout = 2s; }
backend app1 { .host = "192.0.2.11"; .port = "8080"; .probe = alive; .first_byte_timeout = 10s; }
backend app2 { .host = "192.0.2.12"; .port = "8080"; .probe = alive; .first_byte_timeout = 10s; }

acl operators { "127.0.0.1"; "::1"; }

sub vcl_init {
    sentry.init("https://0123456789abcdef@sentry.example.com/42", environment = "production",
        throttle = 5, window = 5m, max_rate = 10);
    sentry.spool("/var/spool/vmod-sentry");
    # What tells of a person or a secret in this shop, beside what the module knows by itself.
    sentry.privacy(deny_headers = "X-Customer-Tier", deny_keys = "order, voucher", allow_headers = "Surrogate-Key");
    # Nobody is woken for what crawlers run into.
    sentry.before_send(user_agent = "(?i)bot|crawl|spider", set_level = info);
    # A backend that becomes sick as a whole is an event of its own.
    sentry.rule("VCL_Log", "^saintmode: \S+ is sick: ", name = "saintmode", level = fatal);

    # A page that failed is not asked of this server for 10 seconds, the next time for 20, up to 10 minutes. 50 such pages, or half of all
    # fetches, and the server gets none; but one of the two is always asked.
    new sm1 = saintmode.saintmode(app1, 50, keep = "shop", group = "shop", on = "5xx, error", ttl = 10s, max_ttl = 10m,
        half_open = true, max_failure_percent = 50);
    new sm2 = saintmode.saintmode(app2, 50, keep = "shop", group = "shop", on = "5xx, error", ttl = 10s, max_ttl = 10m,
        half_open = true, max_failure_percent = 50);
    new app = directors.round_robin();
    app.add_backend(sm1.backend());
    app.add_backend(sm2.backend());
}

sub vcl_recv {
    if (req.restarts == 0) {
        sentry.watch();
        if (req.url ~ "^/saintmode/") {
            if (client.ip !~ operators) { return (synth(403)); }
            return (synth(700));
        }
    }
    set req.backend_hint = app.backend();
    # The second restart takes the old copy, see vcl_hit and vcl_synth.
    if (req.restarts == 1) { set req.hash_always_miss = true; } else { set req.hash_always_miss = false; }
    if (req.method !~ "^(GET|HEAD)$" || req.url ~ "^/(cart|checkout|account)(/|\?|$)" || req.http.Cookie ~ "shop_session=") {
        return (pass);
    }
    unset req.http.Cookie;
}

sub vcl_hit {
    # Old by more than 10 seconds: wait for a fetch, if there is a server to wait for.
    if (obj.ttl + 10s < 0s && req.restarts == 0 && (sm1.is_healthy() || sm2.is_healthy())) { return (restart); }
}

sub vcl_backend_fetch {
    sentry.watch();
    sentry.set_transaction(regsub(bereq.url, "^(/[^/?]*).*", "\1"));
    set bereq.backend = app.backend();
}

sub vcl_backend_response {
    saintmode.observe();
    set beresp.grace = 24h;
    if (beresp.status >= 500) {
        sentry.capture_exception("OriginError " + beresp.status, "from " + beresp.backend.name);
        # An order is not sent twice.
        if (bereq.retries == 0 && bereq.method ~ "^(GET|HEAD)$") {
            sentry.watch();
            return (retry);
        }
        if (!bereq.uncacheable) { return (abandon); }
    }
}

sub vcl_backend_error {
    saintmode.observe();
    sentry.capture_exception("FetchError", sentry.fetch_error());
    if (bereq.retries == 0 && bereq.method ~ "^(GET|HEAD)$") {
        sentry.watch();
        return (retry);
    }
    if (!bereq.uncacheable) { return (abandon); }
    set beresp.http.Content-Type = "text/html; charset=utf-8";
    set beresp.http.Retry-After = "30";
    set beresp.body = "<!DOCTYPE html><title>Sorry</title><p>This does not work at the moment. If you ask us about it, please name the number "
        + sentry.last_event_id() + ".</p>";
    return (deliver);
}

sub vcl_deliver {
    if (obj.hits > 0 && obj.ttl < 0s) { set resp.http.X-Cache = "stale"; }
}

sub vcl_synth {
    if (resp.status == 700) {
        call status_page;
        return (deliver);
    }
    if (resp.status == 503 && req.restarts == 1) { return (restart); }
    if (resp.status >= 500) {
        set resp.http.Content-Type = "text/html; charset=utf-8";
        set resp.http.Retry-After = "30";
        set resp.body = "<!DOCTYPE html><title>Sorry</title><p>This page is not available at the moment. If you ask us about it, please name the number "
            + sentry.capture_exception("Synth " + resp.status, resp.reason) + ".</p>";
        return (deliver);
    }
}

# http://localhost/saintmode/ shows servers, denied pages and the queue of events.
sub status_page {
    set resp.status = 200;
    set resp.http.Cache-Control = "no-store";
    set resp.http.Content-Security-Policy = saintmode.page_csp();
    set resp.http.Content-Type = "application/json";
    if (req.url == "/saintmode/") {
        set resp.http.Content-Type = "text/html; charset=utf-8";
        set resp.body = saintmode.page();
    } elsif (req.url == "/saintmode/page.js") {
        set resp.http.Content-Type = "text/javascript; charset=utf-8";
        set resp.body = saintmode.page_script();
    } elsif (req.url == "/saintmode/sentry.json") {
        set resp.body = sentry.status();
    } else {
        set resp.body = saintmode.report(cursor = regsub(req.url, "^[^?]*\??", ""));
    }
}
