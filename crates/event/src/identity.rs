// SPDX-License-Identifier: BSD-2-Clause
//! Who sends: what every event of a client says about its sender.
//!
//! Sentry drops a bad environment, release or dist from the event without telling the sender, so they are
//! refused here, when the client is made. Limits are in bytes; Sentry's ingestion counts these that way.

use std::fmt;

use protocol::text::line;

/// What a client's events say about their sender. The default is environment `production` and nothing else.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Identity {
    environment: String,
    release: Option<String>,
    dist: Option<String>,
    server_name: Option<String>,
    /// The number of the organization, if it was given.
    organization: Option<String>,
}

/// A value that Sentry would drop.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IdentityError {
    setting: &'static str,
    fault: Fault,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Fault {
    Long { limit: usize, got: usize },
    Reserved(String),
    Character(char, String),
    NotDist(String),
}

impl fmt::Display for IdentityError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let setting = self.setting;
        match &self.fault {
            Fault::Long { limit, got } => write!(f, "{setting} must be at most {limit} bytes, got {got}"),
            Fault::Reserved(value) => write!(f, "{setting} must not be {value:?}, Sentry drops it"),
            Fault::Character(c, value) => write!(f, "{setting} must not contain {c:?}, got {value:?}"),
            Fault::NotDist(value) => {
                write!(f, "{setting} must be of letters, digits, '.', '_' and '-', got {value:?}")
            }
        }
    }
}

impl std::error::Error for IdentityError {}

impl Default for Identity {
    fn default() -> Identity {
        Identity {
            environment: "production".to_owned(),
            release: None,
            dist: None,
            server_name: None,
            organization: None,
        }
    }
}

impl Identity {
    /// Sets the environment; an empty one leaves it as it is.
    pub fn with_environment(mut self, value: &str) -> Result<Identity, IdentityError> {
        if let Some(environment) = name("environment", value, 64, &["none"])? {
            self.environment = environment;
        }
        Ok(self)
    }

    /// Sets the release; an empty one leaves it as it is.
    pub fn with_release(mut self, value: &str) -> Result<Identity, IdentityError> {
        self.release = name("release", value, 200, &[".", "..", "latest"])?.or(self.release);
        Ok(self)
    }

    /// Sets the distribution, a part of a release; an empty one leaves it as it is.
    pub fn with_dist(mut self, value: &str) -> Result<Identity, IdentityError> {
        let dist = name("dist", value, 64, &[])?;
        if let Some(value) = dist.as_ref().filter(|dist| !dist.bytes().all(is_dist_byte)) {
            return Err(IdentityError { setting: "dist", fault: Fault::NotDist(value.clone()) });
        }
        self.dist = dist.or(self.dist);
        Ok(self)
    }

    /// Sets the server's name, cleaned and cut rather than refused: it comes from the machine, not from
    /// the VCL. A blank one leaves it as it is.
    pub fn with_server_name(mut self, value: &[u8]) -> Identity {
        self.server_name = Some(line(value, 200).into_owned()).filter(|name| !name.is_empty()).or(self.server_name);
        self
    }

    /// Sets the organization; without one it stays as it is.
    pub fn with_organization(mut self, number: Option<&str>) -> Identity {
        self.organization = number.map(str::to_owned).or(self.organization);
        self
    }

    pub fn organization(&self) -> Option<&str> {
        self.organization.as_deref()
    }

    pub fn environment(&self) -> &str {
        &self.environment
    }

    pub fn release(&self) -> Option<&str> {
        self.release.as_deref()
    }

    pub fn dist(&self) -> Option<&str> {
        self.dist.as_deref()
    }

    pub fn server_name(&self) -> Option<&str> {
        self.server_name.as_deref()
    }
}

/// `value` without white space around it, `None` if nothing is left, as Sentry's ingestion reads it.
fn name(setting: &'static str, value: &str, limit: usize, reserved: &[&str]) -> Result<Option<String>, IdentityError> {
    let value = value.trim();
    let fault = if value.len() > limit {
        Fault::Long { limit, got: value.len() }
    } else if let Some(c) = value.chars().find(|c| c.is_control() || matches!(c, '/' | '\\')) {
        Fault::Character(c, value.to_owned())
    } else if reserved.iter().any(|reserved| value.eq_ignore_ascii_case(reserved)) {
        Fault::Reserved(value.to_owned())
    } else {
        return Ok((!value.is_empty()).then(|| value.to_owned()));
    };
    Err(IdentityError { setting, fault })
}

fn is_dist_byte(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"._-".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(made: Result<Identity, IdentityError>) -> String {
        made.map(|_| String::new()).unwrap_or_else(|error| error.to_string())
    }

    #[test]
    fn what_sentry_takes_is_kept_without_white_space_around_it() {
        let identity = Identity::default()
            .with_environment(" staging eu\n")
            .and_then(|identity| identity.with_release("shop@1.2.3+45"))
            .and_then(|identity| identity.with_dist("a-b_c.1"))
            .map(|identity| identity.with_server_name(b"cache-7\n"))
            .unwrap();
        assert_eq!(identity.environment(), "staging eu");
        assert_eq!(identity.release(), Some("shop@1.2.3+45"));
        assert_eq!(identity.dist(), Some("a-b_c.1"));
        assert_eq!(identity.server_name(), Some("cache-7"));
    }

    #[test]
    fn an_empty_value_leaves_the_default() {
        let identity = Identity::default()
            .with_environment("")
            .and_then(|identity| identity.with_release(" "))
            .and_then(|identity| identity.with_dist(""))
            .map(|identity| identity.with_server_name(b" \t"));
        assert_eq!(identity, Ok(Identity::default()));
        assert_eq!(Identity::default().environment(), "production");
    }

    #[test]
    fn what_sentry_would_drop_is_refused_with_a_sentence() {
        let made = Identity::default;
        for (refused, sentence) in [
            (made().with_environment("a/b"), r#"environment must not contain '/', got "a/b""#),
            (made().with_environment(r"a\b"), r#"environment must not contain '\\', got "a\\b""#),
            (made().with_environment("a\nb"), r#"environment must not contain '\n', got "a\nb""#),
            (made().with_environment("None"), r#"environment must not be "None", Sentry drops it"#),
            (made().with_environment(&"ä".repeat(33)), "environment must be at most 64 bytes, got 66"),
            (made().with_release("a\0"), r#"release must not contain '\0', got "a\0""#),
            (made().with_release("shop/1"), r#"release must not contain '/', got "shop/1""#),
            (made().with_release(".."), r#"release must not be "..", Sentry drops it"#),
            (made().with_release("Latest"), r#"release must not be "Latest", Sentry drops it"#),
            (made().with_release(&"r".repeat(201)), "release must be at most 200 bytes, got 201"),
            (made().with_dist("a b"), r#"dist must be of letters, digits, '.', '_' and '-', got "a b""#),
            (made().with_dist("ä"), r#"dist must be of letters, digits, '.', '_' and '-', got "ä""#),
            (made().with_dist(&"d".repeat(65)), "dist must be at most 64 bytes, got 65"),
        ] {
            assert_eq!(refusal(refused), sentence);
        }
        assert!(made().with_environment(&"e".repeat(64)).is_ok());
        assert!(made().with_release(&"r".repeat(200)).is_ok());
        assert!(made().with_environment("latest").is_ok());
    }

    #[test]
    fn a_server_name_is_cut_rather_than_refused() {
        let identity = Identity::default().with_server_name(&[b's'; 300]);
        assert_eq!(identity.server_name().map(str::len), Some(200));
    }
}
