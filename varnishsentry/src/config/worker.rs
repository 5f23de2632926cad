// SPDX-License-Identifier: BSD-2-Clause
//! What a worker is to do: which log it reads, what is an event there, and where that goes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use delivery::connection::way::WayArguments;
use delivery::range::{number, seconds};
use event::capture::task_log::LogForm;
use event::lifecycle::settings::Lifecycle;
use event::rules::before_send::Edit;
use event::rules::ignore::Rule as IgnoreRule;
use event::rules::watch::Watch;
use privacy::settings::PrivacyArguments;
use settings::client::{ClientArguments, ClientSection};
use settings::copies::Copies;
use settings::path::path;
use settings::privacy::PrivacySettings;
use settings::sections::{LifecycleSettings, Sections, Settings};
use settings::server::ServerArguments;
use settings::traces::TraceSettings;
use settings::variables::Variables;
use settings::waiting;
use transaction::group::Grouping;
use transaction::tags::Tags;

use super::builtin::{Builtin, LIFECYCLE, Thresholds};
use super::document::{Entry, Table, Value};
use super::filters::{Filter, RuleSet, before_send, filters, ignore, level_of, section_of};
use super::problem::Problems;
use super::schema::{Section, TAGS, WORKER, WORKERS};
use super::values::{Values, check_keys};

/// Which log is read, and how.
#[derive(Clone, Debug, PartialEq)]
pub struct Source {
    /// As `-n`; `None` is the server's default.
    pub instance: Option<String>,
    /// As `-q`.
    pub query: Option<String>,
    pub grouping: Grouping,
    /// As `-L`.
    pub max_transactions: u32,
    /// As `-T`.
    pub transaction_timeout: Duration,
}

impl Default for Source {
    fn default() -> Source {
        Source {
            instance: None,
            query: None,
            grouping: Grouping::Request,
            max_transactions: 1000,
            transaction_timeout: Duration::from_secs(120),
        }
    }
}

/// What is an event.
#[derive(Debug, Default)]
pub struct Filters {
    pub builtin: Builtin,
    pub thresholds: Thresholds,
    /// The operator's own.
    pub own: Vec<Filter>,
    pub watch: Watch,
    pub ignore: RuleSet<IgnoreRule>,
    pub before_send: RuleSet<Edit>,
    /// Name and value of tags that all events have.
    pub tags: Vec<(String, String)>,
}

impl PartialEq for Filters {
    fn eq(&self, other: &Filters) -> bool {
        // `watch` is made of `own`.
        let all = |of: &Filters| (of.builtin, of.thresholds);
        all(self) == all(other)
            && self.own == other.own
            && self.ignore == other.ignore
            && self.before_send == other.before_send
            && self.tags == other.tags
    }
}

/// A worker.
#[derive(Debug, PartialEq)]
pub struct Worker {
    pub source: Source,
    pub filters: Filters,
    /// Of the client, whose name is the worker's.
    pub settings: Settings,
    /// Whether the name of this server is said, rather than found.
    pub has_server_name: bool,
}

/// What is known of the machine.
pub struct Surroundings<'s> {
    pub tags: &'s Tags,
    /// `$CREDENTIALS_DIRECTORY`.
    pub credentials: Option<&'s Path>,
    /// A variable of the environment.
    pub variable: fn(&str) -> Option<std::ffi::OsString>,
    pub host: &'s str,
    /// Nothing is to be sent, whatever is said.
    pub is_dry: bool,
}

/// Reads a worker: `layers` are what it says itself, if it has a section, and what stands at the top. `is_only` if no other worker
/// would send the same to where the environment says.
pub fn worker(
    name: &str,
    layers: &[&Table],
    is_only: bool,
    around: &Surroundings<'_>,
    problems: &mut Problems,
) -> Worker {
    let mut reading = Reading { layers, problems };
    let has_server_name = !reading.values("").text("server_name").is_empty();
    let (source, builtin, thresholds) = (reading.source(), reading.builtin(), reading.thresholds());
    let sections = reading.sections(around);
    let mut variables = Variables::new(around.variable);
    let settings = Settings::new(name, sections, is_only, &mut variables, around.host);
    for problem in variables.problems {
        problems.add(&super::problem::Place::environment(), problem);
    }
    let tags = tags(layers, problems);
    let (own, watch) = filters(layers, around.tags, problems);
    let (ignore, before_send) = (ignore(layers, problems), before_send(layers, problems));
    let filters = Filters { builtin, thresholds, own, watch, ignore, before_send, tags };
    Worker { source, filters, settings, has_server_name }
}

/// Says what in a layer is none of a worker's settings; at the top there are `others`, too.
pub fn check_layer(layer: &Table, others: &[&'static str], problems: &mut Problems) {
    let names = |section: &'static Section| -> Vec<&'static str> {
        if section.name.is_empty() { section.keys.iter().map(|key| key.name).collect() } else { vec![section.name] }
    };
    let known: Vec<_> = WORKER.iter().flat_map(names).chain(["filters", TAGS]).chain(others.iter().copied()).collect();
    check_keys(layer, known.into_iter(), problems);
    for section in WORKER.iter().filter(|section| !section.name.is_empty() && !section.is_list) {
        if let Some(table) = section_of(layer, section.name, problems) {
            check_keys(table, section.keys.iter().map(|key| key.name), problems);
        }
    }
}

/// The workers that have a section.
pub fn named_workers<'t>(top: &'t Table, problems: &mut Problems) -> Vec<(&'t str, &'t Table)> {
    let Some(sections) = section_of(top, WORKERS, problems) else { return Vec::new() };
    let mut named = Vec::new();
    for Entry { key, place, value } in &sections.entries {
        match (value, settings::client::name(key)) {
            (Value::Table(table), Ok(_)) => named.push((&**key, table)),
            (_, Err(error)) => problems.add(place, format!("{WORKERS}.{key}: {error}")),
            (other, Ok(_)) => {
                problems
                    .add(place, format!("{WORKERS}.{key} must be a section [{WORKERS}.{key}], got {}", other.kind()));
            }
        }
    }
    named
}

fn tags(layers: &[&Table], problems: &mut Problems) -> Vec<(String, String)> {
    let mut tags: Vec<(String, String)> = Vec::new();
    for layer in layers {
        let Some(table) = section_of(layer, TAGS, problems) else { continue };
        for entry in &table.entries {
            match &entry.value {
                Value::Text(_) if tags.iter().any(|(known, _)| *known == entry.key) => {}
                Value::Text(text) => tags.push((entry.key.clone(), text.clone())),
                other => {
                    let path = table.path_of(&entry.key);
                    problems.add(&entry.place, format!("{path} must be a text in quotes, got {}", other.kind()));
                }
            }
        }
    }
    tags
}

struct Reading<'t, 'p> {
    layers: &'p [&'t Table],
    problems: &'p mut Problems,
}

impl<'t> Reading<'t, '_> {
    fn values(&mut self, name: &str) -> Values<'t, '_> {
        const NONE: Section = Section { name: "", about: "", keys: &[], is_list: false };
        let section = super::schema::find(WORKER, name).unwrap_or(const { &NONE });
        let tables =
            self.layers.iter().filter_map(|layer| if name.is_empty() { Some(*layer) } else { layer.table(name) });
        Values::new(section, tables.collect(), self.problems)
    }

    fn source(&mut self) -> Source {
        let default = Source::default();
        let mut values = self.values("");
        let given = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        let (instance, query) = (given(values.text("instance")), given(values.text("query")));
        let limit = values.integer("max_transactions", default.max_transactions.into());
        let timeout = values.seconds("transaction_timeout", default.transaction_timeout.as_secs_f64());
        let limit = values.checked(number("max_transactions", limit, 1..=1_000_000));
        let timeout = values.checked(seconds("transaction_timeout", timeout, 1.0..=86_400.0));
        let grouping = match values.word("grouping") {
            Some("session") => Grouping::Session,
            Some("vxid") => Grouping::Vxid,
            Some("raw") => Grouping::Raw,
            _ => default.grouping,
        };
        Source {
            instance,
            query,
            grouping,
            max_transactions: limit.unwrap_or(default.max_transactions),
            transaction_timeout: timeout.unwrap_or(default.transaction_timeout),
        }
    }

    fn builtin(&mut self) -> Builtin {
        let default = Builtin::default();
        let mut values = self.values("builtin");
        let mut level = |key, default| values.word(key).map_or(default, level_of);
        Builtin {
            delivered: level("5xx", default.delivered),
            fetch_error: level("fetch_error", default.fetch_error),
            guru_meditation: level("guru_meditation", default.guru_meditation),
            vcl_error: level("vcl_error", default.vcl_error),
            error: level("error", default.error),
            workspace_overflow: level("workspace_overflow", default.workspace_overflow),
            backend_sick: level("backend_sick", default.backend_sick),
            backend_healthy: level("backend_healthy", default.backend_healthy),
            threads: level("threads", default.threads),
            log_lost: level("log_lost", default.log_lost),
        }
    }

    fn thresholds(&mut self) -> Thresholds {
        let default = Thresholds::default();
        let mut values = self.values("thresholds");
        let mut of = |key: &'static str, default: u64| {
            // Those that are by default are small.
            let set = values.integer(key, default as i64);
            values.checked(number(key, set, 0..=1_000_000_000)).unwrap_or(default)
        };
        Thresholds {
            thread_queue_len: of("thread_queue_len", default.thread_queue_len),
            sess_queued: of("sess_queued", default.sess_queued),
            sess_dropped: of("sess_dropped", default.sess_dropped),
            req_dropped: of("req_dropped", default.req_dropped),
            threads_limited: of("threads_limited", default.threads_limited),
            threads_failed: of("threads_failed", default.threads_failed),
        }
    }

    /// What the module's calls say, a section each.
    fn sections(&mut self, around: &Surroundings<'_>) -> Sections {
        Sections {
            client: self.client(around),
            privacy: self.privacy(),
            server: self.server(),
            queue: {
                let mut values = self.values("queue");
                let (events, bytes) = (values.integer("events", 1000), values.bytes("bytes", 16_777_216));
                values.checked(waiting::queue(events, bytes))
            },
            spool: {
                let mut values = self.values("spool");
                let (bytes, age) = (values.bytes("bytes", 67_108_864), values.seconds("age", 604_800.0));
                let folder = values.text("folder");
                values.checked(waiting::spool(folder, bytes, age))
            },
            traces: {
                let mut values = self.values("traces");
                let (org_id, strict) = (values.text("org_id"), values.flag("strict", false));
                values.checked(TraceSettings::new(org_id, strict))
            },
            task_log: {
                let form = self.values("task_log").word("form").unwrap_or("both");
                LogForm::from_name(form.as_bytes())
            },
            lifecycle: Some(LifecycleSettings { events: self.lifecycle(), state_dir: None }),
            spotlight: self.copies(),
        }
    }

    fn client(&mut self, around: &Surroundings<'_>) -> Option<ClientSection> {
        let default = ClientArguments::default();
        let dsn_file = self.dsn_file(around);
        let mut values = self.values("");
        let arguments = ClientArguments {
            dsn: values.text("dsn"),
            dsn_file: &dsn_file,
            environment: values.text("environment"),
            release: values.text("release"),
            server_name: values.text("server_name"),
            throttle: values.integer("throttle", default.throttle),
            window: values.seconds("window", default.window),
            max_rate: values.integer("max_rate", default.max_rate),
            sample_rate: values.real("sample_rate"),
            send_client_reports: values.flag("send_client_reports", default.send_client_reports),
            debug: values.flag("debug", default.debug) || around.is_dry,
        };
        values.checked(ClientSection::new(&arguments))
    }

    /// The file that holds the DSN, be it a credential; empty if there is none.
    fn dsn_file(&mut self, around: &Surroundings<'_>) -> String {
        let mut values = self.values("");
        let (file, credential) = (values.text("dsn_file"), values.text("dsn_credential"));
        if credential.is_empty() {
            if !file.is_empty() || values.has("dsn") {
                return file.to_owned();
            }
            let place = around.credentials.map(|folder| folder.join("dsn")).filter(|place| place.exists());
            return place.as_deref().map(text_of).unwrap_or_default();
        }
        let other = [("dsn", values.has("dsn")), ("dsn_file", !file.is_empty())].into_iter().find(|(_, has)| *has);
        if let Some((other, _)) = other {
            values.refuse(&format!("dsn_credential and {other} are both given, expected one of them"));
        } else if credential.contains('/') || credential.starts_with('.') {
            values.refuse(&format!("dsn_credential must be the name of a credential, got {credential:?}"));
        } else if let Some(folder) = around.credentials {
            return text_of(&folder.join(credential));
        } else {
            values.refuse(
                "dsn_credential is given, and systemd has given no credentials: LoadCredential= in the unit does",
            );
        }
        String::new()
    }

    fn privacy(&mut self) -> Option<PrivacySettings> {
        let mut values = self.values("privacy");
        let names = PrivacyArguments {
            anonymize_ip: values.flag("anonymize_ip", false),
            allowed_only: values.flag("allowed_only", false),
            allow_headers: values.text("allow_headers"),
            deny_headers: values.text("deny_headers"),
            allow_keys: values.text("allow_keys"),
            deny_keys: values.text("deny_keys"),
        };
        let send_default_pii = values.flag("send_default_pii", false);
        // There are no bodies in the log.
        values.checked(PrivacySettings::new(send_default_pii, &names, 0))
    }

    fn server(&mut self) -> Option<delivery::settings::Server> {
        let default = ServerArguments::default();
        let mut values = self.values("server");
        let arguments = ServerArguments {
            connections: values.integer("connections", default.connections),
            connect_timeout: values.seconds("connect_timeout", default.connect_timeout),
            timeout: values.seconds("timeout", default.timeout),
            max_interval: values.seconds("max_interval", default.max_interval),
            shutdown_timeout: values.seconds("shutdown_timeout", default.shutdown_timeout),
            way: WayArguments {
                ca_file: values.text("ca_file"),
                proxy: values.text("proxy"),
                client_cert: values.text("client_cert"),
                client_key: values.text("client_key"),
                unix_socket: values.text("unix_socket"),
            },
        };
        values.checked(arguments.checked())
    }

    fn lifecycle(&mut self) -> Lifecycle {
        let mut values = self.values("lifecycle");
        if !values.has("events") {
            return LIFECYCLE;
        }
        let text = values.text("events");
        let events = values.checked(Lifecycle::parse(text)).unwrap_or(LIFECYCLE);
        if events.vcl {
            values.refuse(&format!("events must be of the words start and death, got {text:?}"));
        }
        events
    }

    fn copies(&mut self) -> Option<Copies> {
        let mut values = self.values("spotlight");
        let url = values.text("url");
        values.checked(Copies::new(url))
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

/// An absolute path of a section; `None` if it is not set.
pub fn absolute(values: &mut Values<'_, '_>, key: &'static str, default: &str) -> Option<PathBuf> {
    let text = if values.has(key) { values.text(key) } else { default };
    values.checked(path(key, text)).flatten()
}
