// SPDX-License-Identifier: BSD-2-Clause
//! The settings of a tunnel: what `tunnel()` says, what it ignores, and the sections that it has in common with clients.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use delivery::admission::sample::SampleRate;
use delivery::settings::{DsnSource, QueueBounds, Server, SpoolSettings};
use event::rules::ignore::{Expressions, MAX_RULES, Rule, RuleError};
use privacy::settings::Privacy;
use tunnel::settings::{Arguments, Settings as Judging, SettingsError};

use crate::path::{RelativePath, path};

/// What one call of `tunnel()` has said, checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TunnelSection {
    /// By what reports are judged.
    pub judging: Judging,
    /// Where more DSNs are.
    pub dsn_file: Option<PathBuf>,
}

/// Why the arguments are none. Reads well after `sentry.tunnel(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum TunnelError {
    Relative(RelativePath),
    Settings(SettingsError),
}

impl fmt::Display for TunnelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            TunnelError::Relative(error) => error.fmt(f),
            TunnelError::Settings(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for TunnelError {}

impl TunnelSection {
    /// Checks the arguments; whether there is a file they need not say.
    pub fn new(dsn_file: &str, arguments: Arguments<'_>) -> Result<TunnelSection, TunnelError> {
        let dsn_file = path("dsn_file", dsn_file).map_err(TunnelError::Relative)?;
        let arguments = Arguments { has_file: dsn_file.is_some(), ..arguments };
        let judging = Judging::new(&arguments).map_err(TunnelError::Settings)?;
        Ok(TunnelSection { judging, dsn_file })
    }
}

/// What a tunnel ignores. Two are equal if they were written alike.
#[derive(Clone, Debug, Default)]
pub struct Ignored {
    texts: Vec<[String; 4]>,
    rules: Vec<Arc<Rule>>,
    /// Noise that has no cause in the site, too.
    pub builtin: bool,
}

impl PartialEq for Ignored {
    fn eq(&self, other: &Ignored) -> bool {
        (&self.texts, self.builtin) == (&other.texts, other.builtin)
    }
}

impl Ignored {
    /// Adds what one call of `ignore()` says; with `builtin` that may be nothing else.
    pub fn add(&mut self, expressions: &Expressions<'_>, builtin: bool) -> Result<(), RuleError> {
        let Expressions { message, url, user_agent, level, .. } = *expressions;
        let texts = [message, url, user_agent, level];
        if !builtin || texts.iter().any(|text| !text.is_empty()) {
            let rule = Rule::new(expressions)?;
            if self.rules.len() == MAX_RULES {
                return Err(RuleError::TooMany);
            }
            self.rules.push(Arc::new(rule));
            self.texts.push(texts.map(str::to_owned));
        }
        self.builtin |= builtin;
        Ok(())
    }

    pub fn rules(&self) -> &[Arc<Rule>] {
        &self.rules
    }
}

/// What VCL has said of one tunnel so far; `None` of a section means that nothing was said.
#[derive(Clone, Debug, Default)]
pub struct TunnelSections {
    pub server: Option<Server>,
    pub queue: Option<QueueBounds>,
    /// What was said may be that there is none.
    pub spool: Option<Option<SpoolSettings>>,
    pub ignored: Ignored,
}

/// Checked settings. Tunnels with equal ones are one tunnel, whichever VCL asks.
#[derive(Clone, Debug, PartialEq)]
pub struct TunnelSettings {
    /// The tunnel's name in VCL, counters and log.
    pub name: String,
    pub section: TunnelSection,
    pub ignored: Ignored,
    pub server: Server,
    pub queue: QueueBounds,
    pub spool: Option<SpoolSettings>,
}

impl TunnelSettings {
    /// The settings of the tunnel `name` as VCL has said them.
    pub fn new(name: &str, section: TunnelSection, sections: TunnelSections) -> TunnelSettings {
        let TunnelSections { server, queue, spool, ignored } = sections;
        TunnelSettings {
            name: name.to_owned(),
            section,
            ignored,
            server: server.unwrap_or_default(),
            queue: queue.unwrap_or_default(),
            spool: spool.unwrap_or_default(),
        }
    }

    /// What delivery has to know of them. Nothing is held back there: what comes was judged before.
    pub fn delivery(&self) -> delivery::settings::Settings {
        delivery::settings::Settings {
            name: self.name.clone(),
            dsn: DsnSource::Entries,
            throttle: 0,
            window: Duration::from_secs(1),
            max_rate: 0,
            sample_rate: SampleRate::new(1.0),
            send_client_reports: true,
            debug: false,
            server: self.server.clone(),
            // Of what a server says: a VCL says nothing of privacy for what applications send.
            privacy: Privacy::default(),
            queue: self.queue,
            spool: self.spool.clone(),
            spotlight: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section(dsn_file: &str) -> Result<TunnelSection, String> {
        let arguments = Arguments { dsns: "https://k@h/1", ..Arguments::default() };
        TunnelSection::new(dsn_file, arguments).map_err(|error| error.to_string())
    }

    #[test]
    fn what_cannot_be_meant_is_refused_with_a_sentence() {
        let nothing = TunnelSection::new("", Arguments::default()).map_err(|error| error.to_string());
        assert_eq!(nothing, Err("dsns and dsn_file are both empty, expected one of them".to_owned()));
        let relative = section("dsns").unwrap_err();
        assert_eq!(relative, "dsn_file must be an absolute path, got \"dsns\"");
        assert!(TunnelSection::new("/dsns", Arguments::default()).is_ok());
    }

    #[test]
    fn rules_written_alike_make_equal_settings_and_others_do_not() {
        let ignored = |rules: &[(&str, bool)]| {
            let mut ignored = Ignored::default();
            for (message, builtin) in rules {
                ignored.add(&Expressions { message, ..Expressions::default() }, *builtin).unwrap();
            }
            let sections = TunnelSections { ignored, ..TunnelSections::default() };
            TunnelSettings::new("t", section("").unwrap(), sections)
        };
        assert_eq!(ignored(&[("^a", false), ("", true)]), ignored(&[("^a", true)]));
        assert_ne!(ignored(&[("^a", false)]), ignored(&[("^a", true)]));
        assert_ne!(ignored(&[("^a", false)]), ignored(&[("^b", false)]));
        assert_eq!(ignored(&[("^a", true), ("b", false)]).ignored.rules().len(), 2);
    }

    #[test]
    fn a_rule_that_says_nothing_is_none_and_there_are_not_too_many() {
        let mut ignored = Ignored::default();
        assert_eq!(ignored.add(&Expressions::default(), false), Err(RuleError::Empty));
        for _ in 0..MAX_RULES {
            assert_eq!(ignored.add(&Expressions { url: "a", ..Expressions::default() }, false), Ok(()));
        }
        assert_eq!(ignored.add(&Expressions { url: "a", ..Expressions::default() }, false), Err(RuleError::TooMany));
        assert_eq!(ignored.add(&Expressions::default(), true), Ok(()));
    }

    #[test]
    fn delivery_holds_nothing_back() {
        let settings = TunnelSettings::new("t", section("").unwrap(), TunnelSections::default()).delivery();
        assert_eq!((settings.throttle, settings.max_rate, settings.dsn), (0, 0, DsnSource::Entries));
    }
}
