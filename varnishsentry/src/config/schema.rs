// SPDX-License-Identifier: BSD-2-Clause
//! Every setting there is: its name, its form, its default and what it says. Names and defaults are those of the module's calls, where it has them.
//!
//! What is read, what is refused as unknown, and the sample that `varnishsentry settings` prints, all come from here.

/// What a value has to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    Text,
    /// A text that is never quoted: it is a secret, or may hold one.
    Secret,
    Integer,
    Real,
    Flag,
    /// A number of seconds, or a text of a number and its unit.
    Seconds,
    /// A number of bytes, or a text of a number and its unit.
    Bytes,
    /// One of the words.
    Word(&'static [&'static str]),
}

/// One setting.
#[derive(Debug)]
pub struct Key {
    pub name: &'static str,
    pub form: Form,
    /// As it is written in TOML; where nothing is set by default, an example.
    pub value: &'static str,
    /// Whether `value` is an example.
    pub is_example: bool,
    /// Lines of the sample.
    pub about: &'static str,
}

/// Settings that stand together.
#[derive(Debug)]
pub struct Section {
    /// Empty for what stands at the top.
    pub name: &'static str,
    pub about: &'static str,
    pub keys: &'static [Key],
    /// May stand there several times, and is then a rule each.
    pub is_list: bool,
}

const fn key(name: &'static str, form: Form, value: &'static str, about: &'static str) -> Key {
    Key { name, form, value, is_example: false, about }
}

const fn example(name: &'static str, form: Form, value: &'static str, about: &'static str) -> Key {
    Key { name, form, value, is_example: true, about }
}

const fn section(name: &'static str, about: &'static str, keys: &'static [Key]) -> Section {
    Section { name, about, keys, is_list: false }
}

const fn list(name: &'static str, about: &'static str, keys: &'static [Key]) -> Section {
    Section { name, about, keys, is_list: true }
}

pub const LEVELS: &[&str] = &["fatal", "error", "warning", "info", "debug"];
const LEVELS_OR_OFF: &[&str] = &["fatal", "error", "warning", "info", "debug", "off"];
const LEVELS_OR_KEEP: &[&str] = &["keep", "fatal", "error", "warning", "info", "debug"];

/// What holds for the daemon as a whole.
pub const GLOBAL: &[Section] = &[
    section(
        "",
        "",
        &[key(
            "state_dir",
            Form::Text,
            "\"/var/lib/varnishsentry\"",
            "Folder where it is remembered how far the log was read, so that a restart of the daemon misses and repeats nothing.",
        )],
    ),
    section(
        "status",
        "How the daemon itself is seen.",
        &[
            key(
                "socket",
                Form::Text,
                "\"/run/varnishsentry/status.sock\"",
                "Unix socket that `varnishsentry status` asks. Empty: none.",
            ),
            example(
                "listen",
                Form::Text,
                "\"127.0.0.1:9749\"",
                "Loopback address for HTTP: /metrics for Prometheus, /healthz (liveness), /readyz (readiness), /status; without it none.",
            ),
        ],
    ),
];

/// What holds for a worker. Standing at the top it is the default of all workers.
pub const WORKER: &[Section] = &[
    section(
        "",
        "",
        &[
            example(
                "dsn",
                Form::Secret,
                "\"https://0123456789abcdef@sentry.example.com/42\"",
                "Where to send. Without dsn, dsn_file and dsn_credential the systemd credential \"dsn\" counts, then SENTRY_DSN.",
            ),
            example("dsn_file", Form::Text, "\"/etc/varnishsentry.dsn\"", "A file to read the DSN from."),
            example("dsn_credential", Form::Text, "\"dsn\"", "A systemd credential (LoadCredential=) to read it from."),
            key(
                "environment",
                Form::Text,
                "\"production\"",
                "Name of the environment; without it the variable SENTRY_ENVIRONMENT counts.",
            ),
            example(
                "release",
                Form::Text,
                "\"shop@1.2\"",
                "Name of the release; without it the variable SENTRY_RELEASE counts.",
            ),
            example("server_name", Form::Text, "\"edge1\"", "Name of this server; without it that of the host."),
            key("throttle", Form::Integer, "10", "Events of one kind per window, 0 for any number."),
            key("window", Form::Seconds, "\"60s\"", ""),
            key("max_rate", Form::Integer, "20", "Events per second of all kinds together, 0 for any number."),
            key(
                "sample_rate",
                Form::Real,
                "1.0",
                "The share of events that is kept, by chance; without it the variable SENTRY_SAMPLE_RATE counts.",
            ),
            key("send_client_reports", Form::Flag, "true", "Tell Sentry how many events were dropped, and why."),
            key("debug", Form::Flag, "false", "A dry run: events are printed and not sent."),
            example(
                "instance",
                Form::Text,
                "\"/var/lib/varnish/shop\"",
                "The varnishd to read from, as -n of varnishlog; without it the one of the default name.",
            ),
            example(
                "query",
                Form::Text,
                "\"ReqHeader:host eq 'shop.example'\"",
                "What is looked at, as -q of varnishlog (vsl-query(7)); without it everything.",
            ),
            key(
                "grouping",
                Form::Word(&["session", "request", "vxid", "raw"]),
                "\"request\"",
                "What becomes one event, as -g of varnishlog: a request with its fetches, restarts and ESI includes.",
            ),
            key(
                "max_transactions",
                Form::Integer,
                "1000",
                "Transactions under way that are kept, as -L of varnishlog.",
            ),
            key("transaction_timeout", Form::Seconds, "\"120s\"", "How long one may take, as -T of varnishlog."),
        ],
    ),
    section(
        "builtin",
        "What is reported without any filter, and at which level: fatal, error, warning, info, debug, or off.",
        &[
            key("5xx", Form::Word(LEVELS_OR_OFF), "\"error\"", "A response 5xx that was delivered."),
            key("fetch_error", Form::Word(LEVELS_OR_OFF), "\"error\"", "FetchError: a fetch that failed."),
            key("guru_meditation", Form::Word(LEVELS_OR_OFF), "\"error\"", "A 503 of vcl_backend_error's own."),
            key("vcl_error", Form::Word(LEVELS_OR_OFF), "\"error\"", "VCL_Error."),
            key("error", Form::Word(LEVELS_OR_OFF), "\"error\"", "Error: what else the server calls one."),
            key(
                "workspace_overflow",
                Form::Word(LEVELS_OR_OFF),
                "\"error\"",
                "A workspace that was too small, LostHeader.",
            ),
            key(
                "backend_sick",
                Form::Word(LEVELS_OR_OFF),
                "\"error\"",
                "A backend whose probe says that it went sick.",
            ),
            key("backend_healthy", Form::Word(LEVELS_OR_OFF), "\"off\"", "One that went healthy."),
            key(
                "threads",
                Form::Word(LEVELS_OR_OFF),
                "\"warning\"",
                "Too few threads, requests that queue: see [thresholds].",
            ),
            key("log_lost", Form::Word(LEVELS_OR_OFF), "\"warning\"", "Parts of the log that could not be read."),
        ],
    ),
    section(
        "thresholds",
        "From when on counters of varnishd are an alarm; 0 is never.",
        &[
            key(
                "thread_queue_len",
                Form::Integer,
                "20",
                "Requests that wait for a thread, at 5 looks in a row, a second between them.",
            ),
            key("sess_queued", Form::Integer, "0", "Requests per second that had to wait for a thread."),
            key(
                "sess_dropped",
                Form::Integer,
                "1",
                "Connections per second that were dropped, for there was no thread and no place to wait.",
            ),
            key(
                "req_dropped",
                Form::Integer,
                "1",
                "Streams of HTTP/2 per second that were refused for the same reason.",
            ),
            key(
                "threads_limited",
                Form::Integer,
                "1",
                "Times per second that one more thread was needed and thread_pool_max reached.",
            ),
            key("threads_failed", Form::Integer, "1", "Times per second that a thread could not be made."),
        ],
    ),
    section(
        "privacy",
        "What leaves this machine.",
        &[
            key("send_default_pii", Form::Flag, "false", "Send addresses of clients."),
            key("anonymize_ip", Form::Flag, "false", "Shorten them."),
            key("allowed_only", Form::Flag, "false", "Send only headers and keys that are known to be harmless."),
            key("allow_headers", Form::Text, "\"\"", "Names with commas between them."),
            key("deny_headers", Form::Text, "\"\"", ""),
            key("allow_keys", Form::Text, "\"\"", "Cookies, query parameters, fields of forms and JSON."),
            key("deny_keys", Form::Text, "\"\"", ""),
        ],
    ),
    section(
        "server",
        "How Sentry is reached.",
        &[
            key("connections", Form::Integer, "2", ""),
            key("connect_timeout", Form::Seconds, "\"2s\"", ""),
            key("timeout", Form::Seconds, "\"10s\"", ""),
            key("max_interval", Form::Seconds, "\"1s\"", ""),
            key("shutdown_timeout", Form::Seconds, "\"2s\"", ""),
            key("ca_file", Form::Text, "\"\"", "Certificates to verify the server's with, in place of the system's."),
            key("client_cert", Form::Text, "\"\"", ""),
            key("client_key", Form::Text, "\"\"", ""),
            key("proxy", Form::Secret, "\"\"", "http://[<user>:<password>@]<host>[:<port>], or \"environment\"."),
            key("unix_socket", Form::Text, "\"\"", ""),
        ],
    ),
    section(
        "queue",
        "Where events wait.",
        &[key("events", Form::Integer, "1000", ""), key("bytes", Form::Bytes, "\"16MB\"", "")],
    ),
    section(
        "spool",
        "Where events wait on disk that Sentry did not take.",
        &[
            example("folder", Form::Text, "\"/var/lib/varnishsentry/spool\"", "Without it they wait in memory only."),
            key("bytes", Form::Bytes, "\"64MB\"", ""),
            key("age", Form::Seconds, "\"7d\"", ""),
        ],
    ),
    section(
        "traces",
        "Which traces are continued.",
        &[
            key("org_id", Form::Text, "\"\"", "The number of your organization."),
            key("strict", Form::Flag, "false", ""),
        ],
    ),
    section(
        "task_log",
        "What an event has of its transactions' log.",
        &[key("form", Form::Word(&["none", "breadcrumbs", "attachment", "both"]), "\"both\"", "")],
    ),
    section(
        "lifecycle",
        "What of varnishd's child process is reported.",
        &[key(
            "events",
            Form::Text,
            "\"death\"",
            "Of \"start\" and \"death\"; a panic is a death, and comes with its text.",
        )],
    ),
    section(
        "spotlight",
        "A copy of each event for Spotlight, for development.",
        &[key("url", Form::Secret, "\"false\"", "true, or its URL.")],
    ),
    list(
        "ignore",
        "What is no event: regular expressions, all of which have to match. As many of these as it takes, up to 64.",
        &[
            example("message", Form::Text, "\"(?i)timeout\"", ""),
            example("url", Form::Text, "\"^/health\"", ""),
            example("status", Form::Text, "\"^504$\"", ""),
            example("user_agent", Form::Text, "\"(?i)bot\"", ""),
            example("level", Form::Text, "\"^(info|debug)$\"", ""),
        ],
    ),
    list(
        "before_send",
        "What is changed in events before they are sent. As many of these as it takes, up to 64.",
        &[
            example("message", Form::Text, "\"\"", ""),
            example("url", Form::Text, "\"\"", ""),
            example("status", Form::Text, "\"\"", ""),
            example("user_agent", Form::Text, "\"(?i)bot\"", ""),
            example("level", Form::Text, "\"\"", ""),
            example("set_level", Form::Word(LEVELS_OR_KEEP), "\"info\"", ""),
            example(
                "remove",
                Form::Text,
                "\"^request\\\\.headers\\\\.referer$\"",
                "What is left out, by its place in the event.",
            ),
        ],
    ),
];

/// A filter, under the tag of the records that it is for: `[[filters.VCL_Log]]`.
pub const FILTER: Section = list(
    "filters",
    "Filters of your own, by the tag of the records that they look at (vsl(7)): any of a transaction's records makes the whole one an event.",
    &[
        key("regexp", Form::Text, "\"\"", "What matches; empty: every record of the tag."),
        key("name", Form::Text, "\"\"", "What it is called in the event; empty: the tag."),
        key("level", Form::Word(LEVELS), "\"error\"", ""),
    ],
);

/// Sections whose keys are the operator's: tags of all events.
pub const TAGS: &str = "tags";
/// Sections of workers.
pub const WORKERS: &str = "worker";

/// What is called `name` among them.
pub fn find(sections: &'static [Section], name: &str) -> Option<&'static Section> {
    sections.iter().find(|section| section.name == name)
}
