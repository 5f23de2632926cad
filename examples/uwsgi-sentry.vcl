# SPDX-License-Identifier: BSD-2-Clause
# Shows: what uwsgi-sentry did for a uWSGI server, done for Varnish: each of its ways beside the lines that do it here. `uwsgi:` lines are
# of uwsgi.ini; an event is sent in the background here, so no request waits for Sentry, as it did there.
# Change: the backend, the DSN, and all but those parts that you had.
vcl 4.1;

import sentry;
import std;

backend default { .host = "192.0.2.11"; .port = "8080"; }

sub vcl_init {
    # uwsgi: alarm = NAME sentry:dsn=…,release=2.4.1,server_name=web1,tags=site:shop;tier:edge,extra=rack:12,timeout=5
    # The DSN needs no secret. Where uWSGI had no_verify=true, have ca_file name the authority of your own server.
    sentry.init("https://0123456789abcdef@sentry.example.com/42", release = "shop@2.4.1", server_name = "web1");
    sentry.server(timeout = 5s);
    sentry.set_tag("site", "shop");
    sentry.set_tag("tier", "edge");
    sentry.set_extra("rack", "12");

    # uwsgi: alarm-segfault = segfault
    # A child of varnishd that died, of a segfault or whatever: told by the next one, by a marker in the folder.
    # uwsgi: hook-accepting1-once = sentry:…,message=uWSGI WORKER 1 IS READY
    # "start": the child serves. "vcl": a VCL was loaded, or discarded.
    sentry.lifecycle("vcl, start, death", state_dir = "/var/spool/vmod-sentry");

    # uwsgi: hook-asap = sentry:…,message=uWSGI IS STARTING
    # At each load of a VCL: when the child starts, and at a reload.
    sentry.capture("the VCL is being loaded", level = info);

    # uwsgi: alarm = seen sentry:…,culprit=whoknows
    # uwsgi: alarm-log = seen ^FOO
    sentry.rule("VCL_Log", "^FOO", name = "seen", level = warning);

    # uwsgi: alarm-listen-queue = lqfull
    # Requests that wait for a thread are nothing that VCL could see: varnishsentry(1), which reads the counters, has it built in, and
    # contrib/prometheus has alerts.
}

sub vcl_recv {
    # Has the rules look at what this request logs, once it ends.
    sentry.watch();

    # uwsgi: route-if = isequal:${REQUEST_METHOD};PUT alarm:noputplease PUT IS NOT ALLOWED !!!
    if (req.method == "PUT") {
        sentry.capture("PUT IS NOT ALLOWED !!!");
        return (synth(405));
    }

    # uwsgi: route = ^/help sentry:…,level=info,message=help asked
    if (req.url ~ "^/help") { sentry.capture("help asked", level = info); }
}

sub vcl_backend_fetch {
    sentry.watch();
    # uwsgi: culprit=shop
    sentry.set_transaction("shop");
}

sub vcl_backend_response {
    # A line that the rule "seen" finds.
    if (beresp.http.X-Debug) { std.log("FOO " + beresp.http.X-Debug); }
}

sub vcl_backend_error {
    # uwsgi: exception-handler = sentry:…
    # uwsgi: exception_type=FetchError,exception_value=…
    sentry.capture_exception("FetchError", sentry.fetch_error());
}
