# SPDX-License-Identifier: BSD-2-Clause
# Shows: what the configuration of the old varnishsentry (for Varnish 3) did, each part beside the lines of VCL that do it here: whole
# transactions of the log, as events, wherever a filter matches a record.
# Change: the backend, the DSNs, and the filters. `old:` lines are of /etc/varnishsentry.conf; the tags of the log have other names since.
vcl 4.1;

import sentry;
import std;

backend default { .host = "192.0.2.11"; .port = "8080"; }

sub vcl_init {
    # old: WORKERS = {'shop': {'dsn': 'http://public:secret@sentry.example.com/1',
    # A worker is a client; each has its own DSN, filters, queue and limits.
    new shop = sentry.client("https://0123456789abcdef@sentry.example.com/1");
    # What was the tag `worker` of its events; `filter` and `side` (there: `type`) come by themselves.
    shop.set_tag("worker", "shop");

    # old:     'filters': {'VCL_Log': [{'regexp': r'^\[ERROR\].*', 'name': 'error'}],
    shop.rule("VCL_Log", "^\[ERROR\]", name = "error");
    # old:                 'TxStatus': [{'regexp': r'^500$', 'name': '500', 'level': 'fatal'}]},
    shop.rule("RespStatus", "^500$", name = "500", level = fatal);
    # old:     'items' and 'matched' in extra: all records of the transaction, as breadcrumbs and as a file.
    shop.task_log(both);

    # old:     'user': 'nobody', 'options': {'-c': True, '-b': True, '-n': 'acme'}, 'timeout': 5}
    # Nothing of it: there is no process, and a transaction that does not end is none. -c and -b are where watch() is called, below.

    # old:     'security': {'dsn': …, 'filters': {'VCL_acl': [{'regexp': r'^MATCH intruders', 'level': 'warning'}]}}}
    new security = sentry.client("https://fedcba9876543210@sentry.example.com/2");
    security.set_tag("worker", "security");
    security.rule("VCL_acl", "^MATCH intruders", level = warning);

    # old: LOGGING = {…, 'handlers': [FileHandler, SentryHandler, SysLogHandler]}
    # What goes wrong with the delivery is in the server's own log: varnishlog -g raw -q 'Error ~ "^sentry"'
}

acl intruders +log { "198.51.100.0"/24; }

# old: '-c': True
sub vcl_recv {
    shop.watch();
    security.watch();
    if (client.ip ~ intruders) { return (synth(403)); }
}

# old: '-b': True
sub vcl_backend_fetch {
    shop.watch();
    security.watch();
}

sub vcl_backend_response {
    if (beresp.http.Content-Length == "0" && beresp.status == 200) { std.log("[ERROR] the origin sent an empty page"); }
}
