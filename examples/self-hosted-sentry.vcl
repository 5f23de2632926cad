# SPDX-License-Identifier: BSD-2-Clause
# Shows: a self-hosted Sentry behind a tunnel. Applications and browsers get their answer at once, whatever Sentry does; it is asked for no
# more than it can do, and what it has no time for waits on disk. Its web pages and everything else go through.
# Change: where Sentry is (backend and upstream), the file of DSNs, who may see /count, the shares of projects that send too much.
# /etc/varnish/sentry.dsns has one DSN a line and is read anew when it changes; sentry-dsns.timer, which comes with the module, writes it from
# Sentry's own database.
vcl 4.1;

import sentry;

backend web { .host = "192.0.2.21"; .port = "9000"; .first_byte_timeout = 60s; }

acl operators { "127.0.0.1"; "::1"; "10.0.0.0"/8; }

sub vcl_init {
    # Of project 7 a tenth is enough. All of 4 connections wait for Sentry at a time, and nobody else.
    new inbox = sentry.tunnel(dsn_file = "/etc/varnish/sentry.dsns", upstream = "http://192.0.2.21:9000",
        throttle = 10, window = 1s, max_rate = 500, per_client = 600, share = "7=0.1", drop_items = "session, sessions");
    inbox.server(connections = 4, timeout = 20s);
    inbox.queue(events = 10000, bytes = 128MB);
    inbox.spool("/var/spool/vmod-sentry", bytes = 512MB, age = 2d);
}

sub vcl_recv {
    if (req.url == "/healthcheck") { return (synth(700)); }
    if (req.url == "/count") {
        if (client.ip !~ operators) { return (synth(403)); }
        return (synth(701));
    }
    # Envelopes, events of old SDKs, and what browsers report by themselves.
    if (req.url ~ "^/api/([0-9]+/)?(envelope|store|security|csp-report)/") {
        if (req.method == "OPTIONS") { return (synth(702)); }
        return (synth(inbox.accept()));
    }
    # Minidumps and uploads of symbols are Sentry's own business, and so are its pages.
    if (req.http.Upgrade ~ "(?i)websocket") { return (pipe); }
    return (pass);
}

sub vcl_pipe {
    if (req.http.Upgrade) {
        set bereq.http.Upgrade = req.http.Upgrade;
        set bereq.http.Connection = req.http.Connection;
    }
}

sub vcl_synth {
    if (resp.status == 700) {
        # For a load balancer in front: another one may have room.
        if (inbox.healthy()) { set resp.status = 200; } else { set resp.status = 503; }
        set resp.body = "";
        return (deliver);
    }
    if (resp.status == 701) {
        set resp.status = 200;
        set resp.http.Content-Type = "application/json";
        set resp.body = inbox.count();
        return (deliver);
    }
    if (resp.status == 702) {
        set resp.status = 204;
        call any_page_may_ask;
        return (deliver);
    }
    if (inbox.result()) {
        call any_page_may_ask;
        set resp.http.X-Sentry-Rate-Limits = inbox.rate_limits();
        set resp.http.Content-Type = inbox.content_type();
        # A blob, for old SDKs are answered with an image.
        set resp.body = inbox.body();
        return (deliver);
    }
}

# Browsers ask Sentry from pages of any host. Which of them a project takes reports from is said in Sentry.
sub any_page_may_ask {
    set resp.http.Access-Control-Allow-Origin = "*";
    set resp.http.Access-Control-Allow-Methods = "POST, GET, OPTIONS";
    set resp.http.Access-Control-Allow-Headers = "X-Sentry-Auth, X-Requested-With, Content-Type, Content-Encoding, baggage, sentry-trace";
    set resp.http.Access-Control-Expose-Headers = "X-Sentry-Error, X-Sentry-Rate-Limits, Retry-After";
    set resp.http.Access-Control-Max-Age = "3600";
}
