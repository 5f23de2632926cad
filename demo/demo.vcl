# SPDX-License-Identifier: BSD-2-Clause
# The VCL of `make demo`: a shop whose first origin fails in several ways. Read it from top to bottom and
# take from it what you need. demo.py puts the ports of its own origins in place of 8081 and 8082.
vcl 4.1;

import directors;
import saintmode;
import sentry;
import std;

backend first {
	.host = "127.0.0.1";
	.port = "8081";
	.first_byte_timeout = 1s;
}

backend second {
	.host = "127.0.0.1";
	.port = "8082";
	.first_byte_timeout = 1s;
}

acl operators {
	"127.0.0.1";
}

sub vcl_init {
	# No DSN here: it comes from SENTRY_DSN in varnishd's environment.
	sentry.init(environment = "demo", release = "shop-2.4.1");
	sentry.set_tag("site", "shop");		# on every event of this VCL

	# What browsers report comes here, too: ten a minute of one error. A visitor may send any number (all are this machine).
	new browsers = sentry.tunnel(std.getenv("SENTRY_DSN"), window = 1m, per_client = 0);

	# A saintmode director stands for one backend. What failed there is not asked of it again for a
	# while, and five objects that failed make the whole backend sick.
	new first_sm = saintmode.saintmode(first, 5, on = "5xx, error", ttl = 60s);
	new second_sm = saintmode.saintmode(second, 5, on = "5xx, error", ttl = 60s);

	# That is a line in the log, and by this rule an event.
	sentry.rule("VCL_Log", "^saintmode: \S+ is sick: ", name = "saintmode", level = fatal);

	# The second origin serves what the first one does not.
	new origin = directors.fallback();
	origin.add_backend(first_sm.backend());
	origin.add_backend(second_sm.backend());
}

sub vcl_recv {
	if (req.url ~ "^/status/" && client.ip ~ operators) {
		return (synth(200, "Status"));
	}
	# Where Sentry.init({tunnel: true}) posts to.
	if (req.url == browsers.path()) {
		return (synth(browsers.accept()));
	}
	set req.backend_hint = origin.backend();

	# What is set here is on the events of this request only.
	if (req.http.X-Customer) {
		sentry.set_user(id = req.http.X-Customer);
		sentry.add_breadcrumb("known customer", category = "session", level = info);
	}
	if (req.url ~ "^/admin") {
		sentry.add_breadcrumb("asked for an admin page", category = "access", level = warning);
		return (synth(403, "Not for customers"));
	}
}

sub vcl_backend_fetch {
	sentry.watch();
}

# A bad answer: report it, remember it, and try the other origin.
sub vcl_backend_response {
	saintmode.observe();
	set beresp.grace = 1h;
	if (beresp.status >= 500) {
		# {1} and {2} are filled in for you to read; what is not filled in groups the events.
		sentry.capture("origin answered {1} for {2}", p1 = beresp.status, p2 = bereq.url);
		if (bereq.retries < 1) {
			sentry.watch();			# once more: a retry begins a new log
			return (retry);
		}
		if (bereq.is_bgfetch) {
			return (abandon);		# the stale object stays in the cache
		}
	}
}

# No answer at all: refused, reset, timed out.
sub vcl_backend_error {
	saintmode.observe();
	sentry.capture_exception("FetchError", sentry.fetch_error());
	if (bereq.retries < 1) {
		sentry.watch();
		return (retry);
	}
}

sub vcl_deliver {
	if (obj.hits > 0 && obj.ttl < 0s) {
		set resp.http.X-Cache = "stale";
	} elsif (obj.hits > 0) {
		set resp.http.X-Cache = "hit";
	} else {
		set resp.http.X-Cache = "miss";
	}
}

sub vcl_synth {
	if (req.url == "/status/saintmode") {
		set resp.http.Content-Type = "application/json";
		synthetic(saintmode.report());
		return (deliver);
	}
	if (req.url == "/status/sentry") {
		set resp.http.Content-Type = "application/json";
		# Waits until all that is queued has been sent, but not longer than this.
		set resp.http.X-Flushed = sentry.flush(10s);
		synthetic(sentry.status());
		return (deliver);
	}
	if (req.url == "/status/browsers") {
		set resp.http.Content-Type = "application/json";
		set resp.http.X-Flushed = browsers.flush(10s);
		set resp.http.X-Path = browsers.path();
		synthetic(browsers.count());
		return (deliver);
	}
	if (req.url == browsers.path()) {
		set resp.http.Content-Type = browsers.content_type();
		set resp.http.X-Sentry-Rate-Limits = browsers.rate_limits();
		set resp.http.X-Result = browsers.result();
		synthetic(browsers.response());
		return (deliver);
	}
	if (resp.status >= 400) {
		# The id in the answer is the one to search for when a customer complains.
		set resp.http.X-Event-Id = sentry.capture("refused: {1}", level = warning, p1 = resp.reason);
	}
}
