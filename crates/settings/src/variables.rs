// SPDX-License-Identifier: BSD-2-Clause
//! The environment variables that Sentry's SDKs share, for what VCL leaves open.
//!
//! They come from outside of the VCL: a value that cannot be used is told and left aside, and fails nothing.
//! `SENTRY_DEBUG` is not among them. Elsewhere it asks for more of a log; here *debug* sends nothing, which
//! nobody who sets that variable means.

use std::ffi::OsString;

use delivery::admission::sample::SampleRate;
use delivery::settings::DsnSource;
use event::identity::{Identity, IdentityError};
use protocol::dsn::Dsn;

use crate::copies::Copies;

/// Finds a variable of the environment by its name.
type LookUp = Box<dyn Fn(&str) -> Option<OsString>>;

/// Reads variables, and collects what is wrong with them.
pub struct Variables {
    look_up: LookUp,
    /// One line each, without the value of a secret.
    pub problems: Vec<String>,
}

impl Variables {
    /// Looks them up in the process's environment, or in what a test has for one.
    pub fn new(look_up: impl Fn(&str) -> Option<OsString> + 'static) -> Variables {
        Variables { look_up: Box::new(look_up), problems: Vec::new() }
    }

    /// `SENTRY_DSN`. An unusable one is no problem here: the client tells it, for it loses events by it.
    pub fn dsn(&self) -> DsnSource {
        let Some(value) = (self.look_up)("SENTRY_DSN").filter(|value| !value.is_empty()) else {
            return DsnSource::None;
        };
        match Dsn::parse(&value.to_string_lossy()) {
            Ok(dsn) => DsnSource::Text(dsn),
            Err(error) => DsnSource::Unusable(format!("SENTRY_DSN: {error}")),
        }
    }

    /// `identity` with the environment of `SENTRY_ENVIRONMENT`.
    pub fn environment(&mut self, identity: Identity) -> Identity {
        self.apply("SENTRY_ENVIRONMENT", identity, Identity::with_environment)
    }

    /// `identity` with the release of `SENTRY_RELEASE`.
    pub fn release(&mut self, identity: Identity) -> Identity {
        self.apply("SENTRY_RELEASE", identity, Identity::with_release)
    }

    /// The share of `SENTRY_SAMPLE_RATE`.
    pub fn sample_rate(&mut self) -> Option<SampleRate> {
        let value = self.value("SENTRY_SAMPLE_RATE")?;
        let share = value.parse().ok().filter(|share| (0.0..=1.0).contains(share));
        if share.is_none() {
            self.problems.push(format!("SENTRY_SAMPLE_RATE must be between 0 and 1, got {value:?}"));
        }
        share.map(SampleRate::new)
    }

    /// The URL for copies by `SENTRY_SPOTLIGHT`, which is one or a word for yes or no.
    pub fn spotlight(&mut self) -> Option<String> {
        let value = self.value("SENTRY_SPOTLIGHT")?;
        let argument = match value.to_ascii_lowercase().as_str() {
            "true" | "t" | "yes" | "y" | "on" | "1" => "true",
            "false" | "f" | "no" | "n" | "off" | "0" => "false",
            _ => &value,
        };
        match Copies::new(argument) {
            Ok(copies) => copies.url(),
            Err(error) => {
                self.problems.push(format!("SENTRY_SPOTLIGHT: {error}"));
                None
            }
        }
    }

    fn apply(
        &mut self,
        name: &str,
        identity: Identity,
        set: fn(Identity, &str) -> Result<Identity, IdentityError>,
    ) -> Identity {
        let Some(value) = self.value(name) else { return identity };
        match set(identity.clone(), &value) {
            Ok(identity) => identity,
            Err(error) => {
                self.problems.push(format!("{name}: {error}"));
                identity
            }
        }
    }

    /// The variable without white space around it; `None` if nothing is left.
    fn value(&mut self, name: &str) -> Option<String> {
        let Ok(value) = (self.look_up)(name)?.into_string() else {
            self.problems.push(format!("{name} is not UTF-8"));
            return None;
        };
        Some(value.trim().to_owned()).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::ffi::OsStringExt;

    use super::*;

    fn nothing(_: &str) -> Option<OsString> {
        None
    }

    fn empty(_: &str) -> Option<OsString> {
        Some(" ".into())
    }

    fn good(name: &str) -> Option<OsString> {
        let value = match name {
            "SENTRY_DSN" => "https://key@sentry.example/7",
            "SENTRY_ENVIRONMENT" => " staging\n",
            "SENTRY_RELEASE" => "shop@1.2",
            "SENTRY_SAMPLE_RATE" => "0.25",
            "SENTRY_SPOTLIGHT" => "On",
            _ => return None,
        };
        Some(value.into())
    }

    fn bad(name: &str) -> Option<OsString> {
        let value = match name {
            "SENTRY_DSN" => "https://sentry.example",
            "SENTRY_ENVIRONMENT" => "a/b",
            "SENTRY_RELEASE" => return Some(OsString::from_vec(vec![0xff])),
            "SENTRY_SAMPLE_RATE" => "1,5",
            "SENTRY_SPOTLIGHT" => "user:secret@host",
            _ => return None,
        };
        Some(value.into())
    }

    #[test]
    fn a_variable_that_is_unset_or_blank_says_nothing() {
        for look_up in [nothing, empty] {
            let mut variables = Variables::new(look_up);
            let identity = variables.environment(Identity::default());
            assert_eq!(variables.release(identity), Identity::default());
            assert_eq!((variables.sample_rate(), variables.spotlight()), (None, None));
            assert_eq!(variables.problems, [""; 0]);
        }
        assert_eq!(Variables::new(nothing).dsn(), DsnSource::None);
    }

    #[test]
    fn what_they_say_is_read_as_sentrys_sdks_do() {
        let mut variables = Variables::new(good);
        assert!(matches!(variables.dsn(), DsnSource::Text(dsn) if dsn.project() == "7"));
        let identity = variables.environment(Identity::default());
        let identity = variables.release(identity);
        assert_eq!((identity.environment(), identity.release()), ("staging", Some("shop@1.2")));
        assert_eq!(variables.sample_rate(), Some(SampleRate::new(0.25)));
        assert_eq!(variables.spotlight().as_deref(), Some("http://localhost:8969/stream"));
        assert_eq!(variables.problems, [""; 0]);
    }

    #[test]
    fn a_value_that_cannot_be_used_is_told_without_a_secret_and_left_aside() {
        let mut variables = Variables::new(bad);
        assert!(matches!(variables.dsn(), DsnSource::Unusable(cause) if cause.starts_with("SENTRY_DSN: ")));
        let identity = variables.environment(Identity::default());
        assert_eq!(variables.release(identity), Identity::default());
        assert_eq!((variables.sample_rate(), variables.spotlight()), (None, None));
        let expected = [
            r#"SENTRY_ENVIRONMENT: environment must not contain '/', got "a/b""#,
            "SENTRY_RELEASE is not UTF-8",
            r#"SENTRY_SAMPLE_RATE must be between 0 and 1, got "1,5""#,
            "SENTRY_SPOTLIGHT: url must be true, false or a URL, expected http://<host>[:<port>]/<path>",
        ];
        assert_eq!(variables.problems, expected);
    }

    #[test]
    fn a_share_is_between_none_and_all() {
        for (value, share) in [("0", Some(0.0)), ("1", Some(1.0)), ("-0.1", None), ("1.1", None), ("NaN", None)] {
            let mut variables = Variables::new(|_| Some(value.into()));
            assert_eq!(variables.sample_rate(), share.map(SampleRate::new), "{value}");
            assert_eq!(variables.problems.len(), usize::from(share.is_none()), "{value}");
        }
    }
}
