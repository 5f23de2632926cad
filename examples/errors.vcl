# SPDX-License-Identifier: BSD-2-Clause
# Shows: every response 5xx of the origin, and every fetch that failed with the reason why, as issues in Sentry. An outage of Sentry loses none.
# Change: host and port of the backend, and the DSN, as the settings of the project in Sentry show it.
vcl 4.1;
import sentry;
backend default { .host = "192.0.2.11"; .port = "8080"; }
sub vcl_init {
    sentry.init("https://0123456789abcdef@sentry.example.com/42", environment = "production");
    sentry.spool("/var/spool/vmod-sentry");
}
sub vcl_backend_response {
    if (beresp.status >= 500) { sentry.capture_exception("OriginError " + beresp.status, "the origin answered with an error"); }
}
sub vcl_backend_error { sentry.capture_exception("FetchError", sentry.fetch_error()); }
