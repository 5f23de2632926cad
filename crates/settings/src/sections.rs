// SPDX-License-Identifier: BSD-2-Clause
//! All sections of a client, and what they make together.

use std::path::PathBuf;

use delivery::settings::{DsnSource, QueueBounds, Server, SpoolSettings};
use event::capture::task_log::LogForm;
use event::error_event::Form;
use event::lifecycle::settings::Lifecycle;

use crate::client::{ClientSection, ClientSettings};
use crate::copies::Copies;
use crate::privacy::PrivacySettings;
use crate::traces::TraceSettings;
use crate::variables::Variables;

/// Checked settings.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Settings {
    /// The client's name in VCL, counters and log.
    pub name: String,
    pub client: ClientSettings,
    pub privacy: PrivacySettings,
    pub server: Server,
    pub queue: QueueBounds,
    /// `None` keeps events in memory.
    pub spool: Option<SpoolSettings>,
    pub traces: TraceSettings,
    /// What events carry of their task's log. Kept here for the glue: it decides what is copied.
    pub task_log: LogForm,
    pub lifecycle: LifecycleSettings,
    /// Where copies for Spotlight go.
    pub spotlight: Option<String>,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            name: "default".to_owned(),
            client: ClientSettings::default(),
            privacy: PrivacySettings::default(),
            server: Server::default(),
            queue: QueueBounds::default(),
            spool: None,
            traces: TraceSettings::default(),
            task_log: LogForm::default(),
            lifecycle: LifecycleSettings::default(),
            spotlight: None,
        }
    }
}

/// What a client reports by itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct LifecycleSettings {
    pub events: Lifecycle,
    /// The folder for the child's marker.
    pub state_dir: Option<PathBuf>,
}

/// What VCL has said of one client so far; `None` of a section means that nothing was said.
#[derive(Clone, Debug, Default)]
pub struct Sections {
    pub client: Option<ClientSection>,
    pub privacy: Option<PrivacySettings>,
    pub server: Option<Server>,
    pub queue: Option<QueueBounds>,
    /// What was said may be that there is none.
    pub spool: Option<Option<SpoolSettings>>,
    pub traces: Option<TraceSettings>,
    pub task_log: Option<LogForm>,
    pub lifecycle: Option<LifecycleSettings>,
    pub spotlight: Option<Copies>,
}

impl Settings {
    /// The settings of the client `name` as VCL has said them, and where it was silent as the environment and the
    /// server, whose name is `host`, say.
    ///
    /// Where events go and how many is the environment's to say for the default client only: a second one would send
    /// the same events, and as many. What the process is called holds for every client.
    pub fn new(name: &str, sections: Sections, is_default: bool, variables: &mut Variables, host: &str) -> Settings {
        let traces = sections.traces.unwrap_or_default();
        let section = sections.client.unwrap_or_default();
        let mut client = section.set;
        let mut identity = client.identity.with_organization(traces.org_id.as_deref());
        if !section.has_environment {
            identity = variables.environment(identity);
        }
        if !section.has_release {
            identity = variables.release(identity);
        }
        if !section.has_server_name {
            identity = identity.with_server_name(host.as_bytes());
        }
        client.identity = identity;
        let copies = sections.spotlight.unwrap_or_default();
        let mut spotlight = copies.url();
        if is_default {
            if client.dsn == DsnSource::None {
                client.dsn = variables.dsn();
            }
            if !section.has_sample_rate
                && let Some(sample_rate) = variables.sample_rate()
            {
                client.sample_rate = sample_rate;
            }
            // Where nobody has said where to, the variable may, as Sentry's specification has it.
            if copies.is_open() {
                spotlight = variables.spotlight().or(spotlight);
            }
        }
        let mut spool = sections.spool.unwrap_or_default();
        if client.debug {
            // A dry run leaves alone what it would use to send: it must not empty the spool into the log.
            (client.dsn, spool) = (DsnSource::None, None);
        }
        Settings {
            name: name.to_owned(),
            client,
            privacy: sections.privacy.unwrap_or_default(),
            server: sections.server.unwrap_or_default(),
            queue: sections.queue.unwrap_or_default(),
            spool,
            traces,
            task_log: sections.task_log.unwrap_or_default(),
            lifecycle: sections.lifecycle.unwrap_or_default(),
            spotlight,
        }
    }

    /// What delivery has to know of them.
    pub fn delivery(&self) -> delivery::settings::Settings {
        let ClientSettings { dsn, throttle, window, max_rate, sample_rate, send_client_reports, debug, .. } =
            self.client.clone();
        delivery::settings::Settings {
            name: self.name.clone(),
            dsn,
            throttle,
            window,
            max_rate,
            sample_rate,
            send_client_reports,
            debug,
            server: self.server.clone(),
            queue: self.queue,
            spool: self.spool.clone(),
            spotlight: self.spotlight.clone(),
            privacy: self.privacy.privacy.clone(),
        }
    }

    /// What all its events have in common.
    pub fn form(&self) -> Form {
        let PrivacySettings { send_default_pii: send_pii, privacy, .. } = self.privacy.clone();
        Form { identity: self.client.identity.clone(), send_pii, privacy }
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsString;

    use super::*;
    use crate::client::ClientArguments;
    use crate::waiting::{queue, spool};

    fn section(change: impl FnOnce(&mut ClientArguments<'_>)) -> Option<ClientSection> {
        let mut arguments = ClientArguments::default();
        change(&mut arguments);
        Some(ClientSection::new(&arguments).unwrap())
    }

    fn made(sections: Sections, is_default: bool, set: &'static [(&'static str, &'static str)]) -> Settings {
        let value = move |name: &str| set.iter().find(|(key, _)| *key == name).map(|(_, value)| OsString::from(*value));
        Settings::new("default", sections, is_default, &mut Variables::new(value), "edge1")
    }

    const ALL: &[(&str, &str)] = &[
        ("SENTRY_DSN", "https://key@sentry.example/7"),
        ("SENTRY_ENVIRONMENT", "staging"),
        ("SENTRY_RELEASE", "shop@1.2"),
        ("SENTRY_SAMPLE_RATE", "0.25"),
        ("SENTRY_SPOTLIGHT", "http://10.0.0.1:8969/stream"),
    ];

    #[test]
    fn what_nobody_says_is_as_by_default() {
        let silent = made(Sections::default(), true, &[]);
        let identity = silent.client.identity.clone();
        assert_eq!(identity.server_name(), Some("edge1"));
        let client = ClientSettings { identity, ..ClientSettings::default() };
        assert_eq!(silent, Settings { client, ..Settings::default() });
        assert_eq!(silent, made(Sections { client: section(|_| ()), ..Sections::default() }, true, &[]));
    }

    #[test]
    fn the_environment_counts_for_what_the_default_client_was_not_given() {
        let of = |settings: &Settings| {
            let identity = &settings.client.identity;
            (identity.environment().to_owned(), identity.release().map(str::to_owned))
        };
        let open = made(Sections::default(), true, ALL);
        assert!(matches!(&open.client.dsn, DsnSource::Text(dsn) if dsn.project() == "7"));
        assert_eq!(of(&open), ("staging".to_owned(), Some("shop@1.2".to_owned())));
        assert_eq!(open.spotlight.as_deref(), Some("http://10.0.0.1:8969/stream"));
        assert_ne!(open.client.sample_rate, ClientSettings::default().sample_rate);

        let client = section(|a| {
            (a.dsn, a.environment, a.release) = ("https://key@h/1", "production", "r");
            (a.sample_rate, a.server_name) = (Some(1.0), "edge7");
        });
        let given = Sections { client, spotlight: Some(Copies::new("false").unwrap()), ..Sections::default() };
        let given = made(given, true, ALL);
        assert!(matches!(&given.client.dsn, DsnSource::Text(dsn) if dsn.project() == "1"));
        assert_eq!(of(&given), ("production".to_owned(), Some("r".to_owned())));
        assert_eq!(given.client.sample_rate, ClientSettings::default().sample_rate);
        assert_eq!((given.spotlight, given.client.identity.server_name()), (None, Some("edge7")));

        let other = made(Sections::default(), false, ALL);
        assert_eq!((&other.client.dsn, other.spotlight.as_deref()), (&DsnSource::None, None));
        assert_eq!(other.client.sample_rate, ClientSettings::default().sample_rate);
        assert_eq!(of(&other), of(&open), "what the process is called holds for all");
    }

    #[test]
    fn a_dsn_file_is_a_dsn_that_the_environment_does_not_replace() {
        let client = section(|a| a.dsn_file = "/etc/varnish/sentry.dsn");
        let settings = made(Sections { client, ..Sections::default() }, true, ALL);
        assert_eq!(settings.client.dsn, DsnSource::File(PathBuf::from("/etc/varnish/sentry.dsn")));
    }

    #[test]
    fn a_dry_run_uses_neither_dsn_nor_spool() {
        let of = |debug| {
            let client = section(|a| (a.dsn_file, a.debug) = ("/etc/varnish/sentry.dsn", debug));
            let spool = Some(spool("/var/spool/x", 1 << 20, 60.0).unwrap());
            made(Sections { client, spool, ..Sections::default() }, true, ALL)
        };
        let wet = of(false);
        assert!(wet.spool.is_some() && wet.client.dsn != DsnSource::None && !wet.delivery().works_without_dsn());
        let dry = of(true);
        assert!(dry.spool.is_none() && dry.client.dsn == DsnSource::None && dry.delivery().works_without_dsn());
    }

    #[test]
    fn copies_make_up_for_no_dsn_but_not_for_one_that_is_awaited() {
        let of = |dsn_file| {
            let client = section(|a| a.dsn_file = dsn_file);
            let spotlight = Some(Copies::new("true").unwrap());
            made(Sections { client, spotlight, ..Sections::default() }, true, &[])
        };
        assert!(of("").delivery().works_without_dsn());
        assert!(!of("/etc/varnish/sentry.dsn").delivery().works_without_dsn());
        assert!(!made(Sections::default(), true, &[]).delivery().works_without_dsn());
    }

    #[test]
    fn a_burst_is_never_below_a_second_of_the_rate() {
        for (max_rate, burst) in [(0, 100), (20, 100), (100, 100), (5000, 5000)] {
            let client = ClientSettings { max_rate, ..ClientSettings::default() };
            assert_eq!(Settings { client, ..Settings::default() }.delivery().burst(), burst);
        }
    }

    #[test]
    fn settings_that_differ_in_anything_are_different_clients() {
        let base = Settings::default();
        assert_eq!(base, Settings::default());
        let other = queue(1001, 16 << 20).unwrap();
        assert_ne!(base, Settings { queue: other, ..Settings::default() });
        let client = ClientSettings { send_client_reports: false, ..ClientSettings::default() };
        assert_ne!(base, Settings { client, ..Settings::default() });
    }
}
