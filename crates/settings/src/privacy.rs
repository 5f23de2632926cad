// SPDX-License-Identifier: BSD-2-Clause
//! The section of `privacy()`: what leaves the machine.

use std::fmt;

use delivery::range::{OutOfRange, number};
use privacy::settings::{Privacy, PrivacyArguments, PrivacyError};

/// Checked settings; the default sends no more than it has to.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct PrivacySettings {
    /// Whether the client's address may be sent. Kept here for the glue: it decides what is written.
    pub send_default_pii: bool,
    pub privacy: Privacy,
    /// How much of a request's body is sent. Kept here for the glue: it reads the body.
    pub max_request_body: usize,
}

/// Why the arguments are none. Reads well after `sentry.privacy(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum PrivacySectionError {
    Names(PrivacyError),
    Range(OutOfRange),
}

impl fmt::Display for PrivacySectionError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PrivacySectionError::Names(error) => error.fmt(f),
            PrivacySectionError::Range(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for PrivacySectionError {}

impl PrivacySettings {
    /// Checks the arguments.
    pub fn new(
        send_default_pii: bool,
        names: &PrivacyArguments<'_>,
        max_request_body: i64,
    ) -> Result<PrivacySettings, PrivacySectionError> {
        Ok(PrivacySettings {
            send_default_pii,
            privacy: Privacy::new(names).map_err(PrivacySectionError::Names)?,
            // Sentry keeps no more.
            max_request_body: number("max_request_body", max_request_body, 0..=8192)
                .map_err(PrivacySectionError::Range)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_body_is_at_most_as_long_as_sentry_keeps_one() {
        let of = |max| PrivacySettings::new(false, &PrivacyArguments::default(), max).map_err(|e| e.to_string());
        assert_eq!(of(0), Ok(PrivacySettings::default()));
        assert_eq!(of(8192).map(|settings| settings.max_request_body), Ok(8192));
        assert_eq!(of(8193), Err("max_request_body must be between 0 and 8192, got 8193".to_owned()));
    }
}
