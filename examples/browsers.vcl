# SPDX-License-Identifier: BSD-2-Clause
# Shows: errors in browsers that reach Sentry by the site's own host, past ad blockers and outages, and reports of the site's
# Content-Security-Policy. A flood of one error costs ten reports a second, what has no cause in the site costs none.
# Change: the backend, the DSN in vcl_init, its number in the policy, and in the pages Sentry.init({dsn: "…the same…", tunnel: "/reports"}).
# From version 11.13 of the JavaScript SDK `tunnel: true` will do: it posts to reports.path(), which no list of ad blockers can know.
# max_body and per_client want more if session replay is on.
vcl 4.1;

import sentry;
import std;

backend site { .host = "192.0.2.11"; .port = "8080"; }

acl operators { "127.0.0.1"; "::1"; }

sub vcl_init {
    new reports = sentry.tunnel("https://0123456789abcdef@sentry.example.com/42",
        throttle = 10, window = 1s, per_client = 60, per_client_window = 60s, client_ip = short);
    reports.spool("/var/spool/vmod-sentry");
    # Extensions of browsers, crawlers, developers' own machines, injected toolbars and the like.
    reports.ignore(builtin = true);
    reports.ignore(message = "^(AbortError|NetworkError when attempting to fetch resource)");
}

sub vcl_recv {
    if (req.url == "/reports" || req.url == reports.path() || req.url ~ "^/api/[0-9]+/security/(\?|$)") {
        # Reads the body, which is gone then: the answer is made in vcl_synth.
        return (synth(reports.accept()));
    }
    if (req.url == "/reports/count" && client.ip ~ operators) { return (synth(701)); }
}

sub vcl_deliver {
    # What the policy forbids is reported to the same project; report-only while it is tried out.
    set resp.http.Content-Security-Policy-Report-Only = "default-src 'self'; report-uri /api/42/security/?sentry_key=0123456789abcdef";
}

sub vcl_synth {
    if (reports.result()) {
        # processed, throttled, ignored: …, refused: …
        std.log("reports: " + reports.result());
        # What Sentry wants none of for now, so that browsers stop sending it.
        set resp.http.X-Sentry-Rate-Limits = reports.rate_limits();
        set resp.http.Content-Type = reports.content_type();
        set resp.body = reports.response();
        return (deliver);
    }
    if (resp.status == 701) {
        set resp.status = 200;
        set resp.http.Content-Type = "application/json";
        set resp.body = reports.count();
        return (deliver);
    }
}
