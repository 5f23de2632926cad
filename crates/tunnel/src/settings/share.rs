// SPDX-License-Identifier: BSD-2-Clause
//! What is kept of projects: `42=0.1, 43=0.5`.

use std::fmt;

use delivery::admission::sample::SampleRate;
use delivery::range::{OutOfRange, share};

/// The shares of projects; one that is not named keeps all.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Shares {
    shares: Vec<(String, SampleRate)>,
}

/// Why a text has none. Reads well after `sentry.tunnel(): `.
#[derive(Clone, Debug, PartialEq)]
pub enum ShareError {
    /// One of the words between commas.
    NoShare(String),
    Range(OutOfRange),
    Twice(String),
}

impl fmt::Display for ShareError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ShareError::NoShare(word) => write!(f, "share must be like \"42=0.1, 43=0.5\", got {word:?}"),
            ShareError::Range(error) => error.fmt(f),
            ShareError::Twice(project) => write!(f, "share has project {project:?} twice"),
        }
    }
}

impl std::error::Error for ShareError {}

impl Shares {
    /// Reads a text. Projects are not looked for: those of a file are not known yet.
    pub fn parse(text: &str) -> Result<Shares, ShareError> {
        let mut shares: Vec<(String, SampleRate)> = Vec::new();
        for word in text.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            let no_share = || ShareError::NoShare(word.to_owned());
            let (project, rate) = word.split_once('=').ok_or_else(no_share)?;
            let (project, rate) = (project.trim(), rate.trim());
            let is_project = !project.is_empty()
                && project.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
            let rate: f64 = rate.parse().ok().filter(|_| is_project).ok_or_else(no_share)?;
            let rate = share("share", rate).map_err(ShareError::Range)?;
            if shares.iter().any(|(known, _)| known == project) {
                return Err(ShareError::Twice(project.to_owned()));
            }
            shares.push((project.to_owned(), SampleRate::new(rate)));
        }
        Ok(Shares { shares })
    }

    /// The share of a project.
    pub fn of(&self, project: &str) -> SampleRate {
        let known = self.shares.iter().find(|(known, _)| known == project);
        known.map_or(SampleRate::new(1.0), |(_, rate)| *rate)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn projects_have_the_shares_that_are_said() {
        let shares = Shares::parse(" 42=0.25 ,shop-1 = 0,, 43=1.0").unwrap();
        for (project, rate) in [("42", 0.25), ("shop-1", 0.0), ("43", 1.0), ("44", 1.0)] {
            assert_eq!(shares.of(project), SampleRate::new(rate), "{project}");
        }
        assert_eq!(Shares::parse(""), Ok(Shares::default()));
    }

    #[test]
    fn what_is_none_is_told() {
        for (text, told) in [
            ("42", "share must be like \"42=0.1, 43=0.5\", got \"42\""),
            ("42=0.1 43=0.5", "share must be like \"42=0.1, 43=0.5\", got \"42=0.1 43=0.5\""),
            ("a b=1", "share must be like \"42=0.1, 43=0.5\", got \"a b=1\""),
            ("=1", "share must be like \"42=0.1, 43=0.5\", got \"=1\""),
            ("42=", "share must be like \"42=0.1, 43=0.5\", got \"42=\""),
            ("42=10%", "share must be like \"42=0.1, 43=0.5\", got \"42=10%\""),
            ("1=1,42=1.5", "share must be between 0 and 1, got 1.5"),
            ("42=-1", "share must be between 0 and 1, got -1"),
            ("42=NaN", "share must be between 0 and 1, got NaN"),
            ("42=1,42=1", "share has project \"42\" twice"),
        ] {
            assert_eq!(Shares::parse(text).map_err(|error| error.to_string()), Err(told.to_owned()));
        }
    }
}
