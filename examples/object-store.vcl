# SPDX-License-Identifier: BSD-2-Clause
# Shows: pictures and downloads from an object store in two regions, S3 or one like it. While a region is out, or out for some objects only,
# the other one serves; while both are, so does the cache, with copies of up to a week. Nobody notices but the operators: Sentry has one
# event for each outage, not one for each picture.
# Change: the endpoints of the regions and the bucket's name in them (a backend speaks plain HTTP: put a TLS proxy in between, or .via on a
# server that has it), the DSN, and the names under which you serve, in vcl_recv. Objects have to be public: a signature is for one host.
vcl 4.1;

import directors;
import saintmode;
import sentry;

# host_header is what a region is asked for, as bereq has none: see vcl_backend_fetch.
backend frankfurt {
    .host = "192.0.2.31";
    .port = "80";
    .host_header = "pictures.s3.eu-central-1.example.com";
    .connect_timeout = 1s;
    .first_byte_timeout = 5s;
    .between_bytes_timeout = 10s;
}
backend ireland {
    .host = "192.0.2.32";
    .port = "80";
    .host_header = "pictures-replica.s3.eu-west-1.example.com";
    .connect_timeout = 1s;
    .first_byte_timeout = 5s;
    .between_bytes_timeout = 10s;
}

sub vcl_init {
    sentry.init("https://0123456789abcdef@sentry.example.com/42", environment = "production");
    sentry.spool("/var/spool/vmod-sentry");
    sentry.rule("VCL_Log", "^saintmode: \S+ is sick: ", name = "region", level = error);

    # Stores have single objects fail for a while, by partitions; an outage is when a fifth of all fetches fail.
    new eu_central = saintmode.saintmode(frankfurt, 1000, keep = "store", group = "store", on = "5xx, error", ttl = 5s, max_ttl = 2m,
        half_open = true, max_failure_percent = 20, min_requests = 50, window = 30s);
    new eu_west = saintmode.saintmode(ireland, 1000, keep = "store", group = "store", on = "5xx, error", ttl = 5s, max_ttl = 2m,
        half_open = true, max_failure_percent = 20, min_requests = 50, window = 30s);
    # The near one first.
    new store = directors.fallback();
    store.add_backend(eu_central.backend());
    store.add_backend(eu_west.backend());
}

sub vcl_recv {
    if (req.method != "GET" && req.method != "HEAD") { return (synth(405)); }
    # One copy, whatever it is asked for by. Nothing here depends on cookies and queries.
    set req.http.Host = "pictures.example.com";
    set req.url = regsub(req.url, "\?.*$", "");
    unset req.http.Cookie;
    unset req.http.Authorization;
    unset req.http.X-Missing;
    if (req.restarts == 1) { set req.hash_always_miss = true; } else { set req.hash_always_miss = false; }
    return (hash);
}

sub vcl_hit {
    # Old by more than an hour: ask, as long as there is a region that would serve it.
    if (obj.ttl + 1h < 0s && req.restarts == 0 && (eu_central.is_healthy() || eu_west.is_healthy())) { return (restart); }
}

sub vcl_backend_fetch {
    sentry.watch();
    unset bereq.http.Host;
    set bereq.backend = store.backend();
}

sub vcl_backend_response {
    saintmode.observe();
    if (beresp.status >= 500) {
        if (bereq.retries == 0) {
            # What is logged so far, a region that became sick, would be gone.
            sentry.watch();
            return (retry);
        }
        return (abandon);
    }
    if ((beresp.status == 404 || beresp.status == 403) && bereq.retries == 0) {
        # A replica lags behind, and an outage may look like this: the other region has the last word. Nothing is held against this one.
        saintmode.exclude();
        set bereq.http.X-Missing = beresp.status;
        sentry.watch();
        return (retry);
    }
    # What only the store's own customers need to know.
    unset beresp.http.x-amz-request-id;
    unset beresp.http.x-amz-id-2;
    if (beresp.status == 200) {
        # Public, whatever its Cache-Control says.
        set beresp.ttl = 1h;
        set beresp.grace = 7d;
        return (deliver);
    }
    set beresp.ttl = 30s;
    set beresp.grace = 0s;
}

sub vcl_backend_error {
    saintmode.observe();
    if (bereq.retries == 0) {
        sentry.watch();
        return (retry);
    }
    if (bereq.http.X-Missing) {
        # One region has said that there is no such object, and the other cannot be asked.
        set beresp.status = 404;
        set beresp.ttl = 5s;
        return (deliver);
    }
    return (abandon);
}

sub vcl_synth {
    if (resp.status == 503 && req.restarts == 1) { return (restart); }
    if (resp.status == 503) {
        # Neither region, and no copy. Ten a minute are sent, and each says how many more there were.
        sentry.capture("neither region nor the cache has it");
    }
}
