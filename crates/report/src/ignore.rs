// SPDX-License-Identifier: BSD-2-Clause
//! Ignore rules: what is not worth an event, by regular expressions.
//!
//! The expressions see bytes, as VCL's own do. They match in time linear in the text, and what they are
//! compiled to, and may cache while they match, is bounded. Rules are added while a VCL is initialised;
//! any thread matches, without a lock.

use std::fmt;
use std::sync::{Arc, OnceLock};

use regex::bytes::{Regex, RegexBuilder};

/// Rules of one set.
pub const MAX_RULES: usize = 64;
/// Bytes one expression may be compiled to.
pub(crate) const MAX_COMPILED: usize = 256 * 1024;
/// Bytes that each thread matching at a time may cache for one expression.
pub(crate) const MAX_CACHE: usize = 64 * 1024;

/// Why a rule cannot be had. Reads well after the name of the call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    NotARegex { argument: &'static str, cause: String },
    Empty,
    TooMany,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::NotARegex { argument, cause } => {
                write!(f, "{argument} is not a regular expression: {cause}")
            }
            RuleError::Empty => write!(f, "message, url and status are all empty, expected one of them"),
            RuleError::TooMany => write!(f, "more than {MAX_RULES} rules"),
        }
    }
}

impl std::error::Error for RuleError {}

impl RuleError {
    pub(crate) fn not_a_regex(argument: &'static str, error: &regex::Error) -> RuleError {
        RuleError::NotARegex { argument, cause: cause(error) }
    }
}

/// What an event would say, as far as rules ask; what is not known matches nothing.
#[derive(Clone, Copy, Debug, Default)]
pub struct Candidate<'a> {
    pub message: &'a [u8],
    pub url: Option<&'a [u8]>,
    pub status: Option<&'a [u8]>,
}

/// One rule: it matches if all its expressions do.
#[derive(Debug)]
pub struct Rule {
    message: Option<Regex>,
    url: Option<Regex>,
    status: Option<Regex>,
}

impl Rule {
    /// Compiles the expressions; an empty one was not given.
    pub fn new(message: &str, url: &str, status: &str) -> Result<Rule, RuleError> {
        let rule = Rule {
            message: compile("message", message)?,
            url: compile("url", url)?,
            status: compile("status", status)?,
        };
        if rule.message.is_none() && rule.url.is_none() && rule.status.is_none() {
            return Err(RuleError::Empty);
        }
        Ok(rule)
    }

    fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let agrees = |regex: &Option<Regex>, text: Option<&[u8]>| match (regex, text) {
            (None, _) => true,
            (Some(regex), Some(text)) => regex.is_match(text),
            (Some(_), None) => false,
        };
        // The cheap ones first.
        agrees(&self.status, candidate.status)
            && agrees(&self.url, candidate.url)
            && agrees(&self.message, Some(candidate.message))
    }
}

pub(crate) fn compile(argument: &'static str, text: &str) -> Result<Option<Regex>, RuleError> {
    if text.is_empty() {
        return Ok(None);
    }
    let built = RegexBuilder::new(text).unicode(false).size_limit(MAX_COMPILED).dfa_size_limit(MAX_CACHE).build();
    built.map(Some).map_err(|error| RuleError::not_a_regex(argument, &error))
}

/// One line: the crate draws the expression and an arrow over several, the last of which tells the cause.
fn cause(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A set of rules, to which rules may be added while it is used.
#[derive(Debug)]
pub struct Rules {
    rules: [OnceLock<Arc<Rule>>; MAX_RULES],
}

impl Default for Rules {
    fn default() -> Rules {
        Rules { rules: [const { OnceLock::new() }; MAX_RULES] }
    }
}

impl Rules {
    /// Adds a rule; a full set refuses it.
    pub fn add(&self, rule: &Arc<Rule>) -> Result<(), RuleError> {
        let free = self.rules.iter().any(|place| place.set(Arc::clone(rule)).is_ok());
        if free { Ok(()) } else { Err(RuleError::TooMany) }
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The rules in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.rules.iter().map_while(OnceLock::get)
    }

    /// Whether one of the rules matches.
    pub fn ignore(&self, candidate: &Candidate<'_>) -> bool {
        self.iter().any(|rule| rule.matches(candidate))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rules(all: &[[&str; 3]]) -> Rules {
        let rules = Rules::default();
        for [message, url, status] in all {
            rules.add(&Arc::new(Rule::new(message, url, status).unwrap())).unwrap();
        }
        rules
    }

    #[test]
    fn a_rule_matches_if_all_it_asks_for_does_and_one_rule_is_enough() {
        let rules = rules(&[["^slow", "^/health", ""], ["", "", "^40[34]$"], ["timeout$", "", ""]]);
        let table: &[(&str, Option<&str>, Option<&str>, bool)] = &[
            ("slow page", Some("/health?deep"), None, true),
            ("slow page", Some("/shop/health"), None, false),
            ("slow page", None, None, false),
            ("quick page", Some("/health"), None, false),
            ("any", Some("/"), Some("404"), true),
            ("any", Some("/"), Some("500"), false),
            ("any", Some("/"), None, false),
            ("FetchError: timeout", None, None, true),
        ];
        for (message, url, status, ignored) in table {
            let candidate = Candidate {
                message: message.as_bytes(),
                url: url.map(str::as_bytes),
                status: status.map(str::as_bytes),
            };
            assert_eq!(rules.ignore(&candidate), *ignored, "{candidate:?}");
        }
    }

    #[test]
    fn an_expression_sees_bytes_and_does_not_mind_what_is_no_utf8() {
        let rules = rules(&[["^a.b$", "", ""], ["caf\u{e9}", "", ""]]);
        for message in [&b"a\xffb"[..], "a caf\u{e9}".as_bytes()] {
            assert!(rules.ignore(&Candidate { message, ..Candidate::default() }), "{message:?}");
        }
    }

    #[test]
    fn what_is_no_rule_is_named_in_one_line() {
        let of = |message, url, status| Rule::new(message, url, status).map(drop).map_err(|error| error.to_string());
        let table = [
            (["a(", "", ""], "message is not a regular expression: unclosed group"),
            (
                ["", "[z-a]", ""],
                "url is not a regular expression: invalid character class range, the start must be <= the end",
            ),
            (["", "", "*"], "status is not a regular expression: repetition operator missing expression"),
            (
                ["", "(a{1000}){1000}", ""],
                "url is not a regular expression: Compiled regex exceeds size limit of 262144 bytes.",
            ),
            (["", "", ""], "message, url and status are all empty, expected one of them"),
        ];
        for ([message, url, status], text) in table {
            assert_eq!(of(message, url, status), Err(text.to_owned()));
        }
    }

    #[test]
    fn a_full_set_refuses_one_more_and_keeps_what_it_has() {
        let rules = Rules::default();
        assert!(rules.is_empty());
        for number in 0..MAX_RULES {
            assert_eq!(rules.add(&Arc::new(Rule::new(&format!("^{number}$"), "", "").unwrap())), Ok(()));
        }
        assert_eq!(rules.add(&Arc::new(Rule::new("more", "", "").unwrap())), Err(RuleError::TooMany));
        assert_eq!(rules.iter().count(), MAX_RULES);
        assert!(rules.ignore(&Candidate { message: b"63", ..Candidate::default() }));
        assert!(!rules.ignore(&Candidate { message: b"more", ..Candidate::default() }));
    }

    proptest! {
        #[test]
        fn a_set_matches_what_one_of_its_rules_matches(
            all in prop::collection::vec(("[ab]{0,2}", "[ab]{0,2}", "[ab]{0,2}"), 0..6),
            message in prop::collection::vec(prop::sample::select(b"ab\xff".to_vec()), 0..6),
            url in prop::option::of("[ab]{0,5}"),
            status in prop::option::of("[ab]{0,5}"),
        ) {
            let all: Vec<_> = all.iter().filter(|(m, u, s)| !(m.is_empty() && u.is_empty() && s.is_empty())).collect();
            let rules = rules(&all.iter().map(|(m, u, s)| [&**m, &**u, &**s]).collect::<Vec<_>>());
            // Expressions without operators: each says what is contained.
            let has = |text: Option<&[u8]>, part: &str| {
                part.is_empty() || text.is_some_and(|text| text.windows(part.len()).any(|at| at == part.as_bytes()))
            };
            let candidate = Candidate {
                message: &message,
                url: url.as_deref().map(str::as_bytes),
                status: status.as_deref().map(str::as_bytes),
            };
            let expected = all.iter().any(|(m, u, s)| {
                has(Some(candidate.message), m) && has(candidate.url, u) && has(candidate.status, s)
            });
            prop_assert_eq!(rules.ignore(&candidate), expected);
        }
    }
}
