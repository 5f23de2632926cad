// SPDX-License-Identifier: BSD-2-Clause
//! The section of `traces()`: whose traces are continued (develop.sentry.dev/sdk/telemetry/traces, strict trace
//! continuation).

use std::fmt;

/// Checked settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct TraceSettings {
    /// The number of our organization; `None` if it was not given, then the DSN's host may tell it.
    pub org_id: Option<String>,
    /// Whether a trace is another one's, too, if only one of the two names an organization.
    pub strict: bool,
}

/// A text that is no number of an organization. Reads well after `sentry.traces(): `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoOrganization(String);

impl fmt::Display for NoOrganization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "org_id must be a number of at most 20 digits, got {:?}", self.0)
    }
}

impl std::error::Error for NoOrganization {}

impl TraceSettings {
    /// Checks the arguments; an empty `org_id` was not given.
    pub fn new(org_id: &str, strict: bool) -> Result<TraceSettings, NoOrganization> {
        if org_id.len() > 20 || !org_id.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(NoOrganization(org_id.to_owned()));
        }
        Ok(TraceSettings { org_id: Some(org_id.to_owned()).filter(|org_id| !org_id.is_empty()), strict })
    }

    /// Whether a trace that came from the organization `theirs` is continued by `ours`; `None` if nobody named one.
    pub fn continues(&self, ours: Option<&str>, theirs: Option<&str>) -> bool {
        match (ours, theirs) {
            (Some(ours), Some(theirs)) => ours == theirs,
            (None, None) => true,
            _ => !self.strict,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_organization_is_a_number() {
        assert_eq!(TraceSettings::new("", false), Ok(TraceSettings::default()));
        assert_eq!(TraceSettings::new("42", true).map(|traces| traces.org_id), Ok(Some("42".to_owned())));
        for bad in ["o42", " 42", "-1", &"1".repeat(21)] {
            let refused = TraceSettings::new(bad, false).map_err(|error| error.to_string());
            assert_eq!(refused, Err(format!("org_id must be a number of at most 20 digits, got {bad:?}")));
        }
    }

    #[test]
    fn a_trace_of_another_organization_is_not_continued() {
        // The table of the specification.
        for (ours, theirs, loosely, strictly) in [
            (Some("1"), Some("1"), true, true),
            (None, Some("1"), true, false),
            (Some("1"), None, true, false),
            (None, None, true, true),
            (Some("1"), Some("2"), false, false),
        ] {
            for (strict, continued) in [(false, loosely), (true, strictly)] {
                let traces = TraceSettings { org_id: None, strict };
                assert_eq!(traces.continues(ours, theirs), continued, "{ours:?} {theirs:?} {strict}");
            }
        }
    }
}
