// SPDX-License-Identifier: BSD-2-Clause
//! Rules: which events a VCL's author means, by regular expressions; most of all those not worth one.
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

/// Why a rule cannot be had. Reads well after `sentry.ignore(): ` and `sentry.before_send(): `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RuleError {
    NotARegex {
        argument: &'static str,
        cause: String,
    },
    Empty,
    /// A rule that would change nothing.
    Idle,
    TooMany,
}

impl fmt::Display for RuleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            RuleError::NotARegex { argument, cause } => {
                write!(f, "{argument} is not a regular expression: {cause}")
            }
            RuleError::Empty => write!(f, "all arguments are empty, expected one of them"),
            RuleError::Idle => write!(f, "neither set_level nor remove is given, expected one of them"),
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
    pub user_agent: Option<&'a [u8]>,
    /// The word of its level.
    pub level: &'a [u8],
}

/// The expressions of a rule as they are written; an empty one was not given.
#[derive(Clone, Copy, Debug, Default)]
pub struct Expressions<'a> {
    pub message: &'a str,
    pub url: &'a str,
    pub status: &'a str,
    pub user_agent: &'a str,
    pub level: &'a str,
}

/// One rule: it matches if all its expressions do.
#[derive(Debug)]
pub struct Rule {
    message: Option<Regex>,
    url: Option<Regex>,
    status: Option<Regex>,
    user_agent: Option<Regex>,
    level: Option<Regex>,
}

impl Rule {
    /// Compiles the expressions, one of which has to be given.
    pub fn new(expressions: &Expressions<'_>) -> Result<Rule, RuleError> {
        let rule = Rule::of_any(expressions)?;
        let all = [&rule.message, &rule.url, &rule.status, &rule.user_agent, &rule.level];
        if all.into_iter().all(Option::is_none) { Err(RuleError::Empty) } else { Ok(rule) }
    }

    /// As [`Rule::new`]; one without expressions matches everything.
    pub fn of_any(expressions: &Expressions<'_>) -> Result<Rule, RuleError> {
        Ok(Rule {
            message: compile("message", expressions.message, false)?,
            url: compile("url", expressions.url, false)?,
            status: compile("status", expressions.status, false)?,
            user_agent: compile("user_agent", expressions.user_agent, false)?,
            level: compile("level", expressions.level, false)?,
        })
    }

    pub fn matches(&self, candidate: &Candidate<'_>) -> bool {
        let agrees = |regex: &Option<Regex>, text: Option<&[u8]>| match (regex, text) {
            (None, _) => true,
            (Some(regex), Some(text)) => regex.is_match(text),
            (Some(_), None) => false,
        };
        // The cheap ones first.
        agrees(&self.level, Some(candidate.level))
            && agrees(&self.status, candidate.status)
            && agrees(&self.url, candidate.url)
            && agrees(&self.user_agent, candidate.user_agent)
            && agrees(&self.message, Some(candidate.message))
    }
}

/// The expression of `argument`; `None` if it was not given.
pub(crate) fn compile(argument: &'static str, text: &str, ignores_case: bool) -> Result<Option<Regex>, RuleError> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut builder = RegexBuilder::new(text);
    builder.unicode(false).case_insensitive(ignores_case).size_limit(MAX_COMPILED).dfa_size_limit(MAX_CACHE);
    builder.build().map(Some).map_err(|error| RuleError::NotARegex { argument, cause: cause(&error) })
}

/// One line: the crate draws the expression and an arrow over several, the last of which tells the cause.
fn cause(error: &regex::Error) -> String {
    let text = error.to_string();
    let last = text.lines().last().unwrap_or_default().trim();
    last.strip_prefix("error: ").unwrap_or(last).to_owned()
}

/// A set of rules, to which rules may be added while it is used.
#[derive(Debug)]
pub struct Rules<R> {
    rules: [OnceLock<Arc<R>>; MAX_RULES],
}

impl<R> Default for Rules<R> {
    fn default() -> Rules<R> {
        Rules { rules: [const { OnceLock::new() }; MAX_RULES] }
    }
}

impl<R> Rules<R> {
    /// Adds a rule; a full set refuses it.
    pub fn add(&self, rule: &Arc<R>) -> Result<(), RuleError> {
        let free = self.rules.iter().any(|place| place.set(Arc::clone(rule)).is_ok());
        if free { Ok(()) } else { Err(RuleError::TooMany) }
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The rules in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<R>> {
        self.rules.iter().map_while(OnceLock::get)
    }
}

impl Rules<Rule> {
    /// Whether one of the rules matches.
    pub fn ignore(&self, candidate: &Candidate<'_>) -> bool {
        self.iter().any(|rule| rule.matches(candidate))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn rule(message: &str, url: &str, status: &str) -> Result<Rule, RuleError> {
        Rule::new(&Expressions { message, url, status, ..Expressions::default() })
    }

    fn rules(all: &[[&str; 3]]) -> Rules<Rule> {
        let rules = Rules::default();
        for [message, url, status] in all {
            rules.add(&Arc::new(rule(message, url, status).unwrap())).unwrap();
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
                ..Candidate::default()
            };
            assert_eq!(rules.ignore(&candidate), *ignored, "{candidate:?}");
        }
    }

    #[test]
    fn the_level_and_who_asks_are_asked_for_too() {
        let rules = Rules::default();
        let bots = Expressions { user_agent: "(?i)bot", level: "^(info|warning)$", ..Expressions::default() };
        rules.add(&Arc::new(Rule::new(&bots).unwrap())).unwrap();
        let table: &[(Option<&str>, &str, bool)] = &[
            (Some("GoogleBot/2"), "info", true),
            (Some("GoogleBot/2"), "error", false),
            (Some("curl"), "info", false),
            (None, "info", false),
        ];
        for (user_agent, level, ignored) in table {
            let user_agent = user_agent.map(str::as_bytes);
            let candidate = Candidate { user_agent, level: level.as_bytes(), ..Candidate::default() };
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
        let of = |message, url, status| rule(message, url, status).map(drop).map_err(|error| error.to_string());
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
            (["", "", ""], "all arguments are empty, expected one of them"),
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
            assert_eq!(rules.add(&Arc::new(rule(&format!("^{number}$"), "", "").unwrap())), Ok(()));
        }
        assert_eq!(rules.add(&Arc::new(rule("more", "", "").unwrap())), Err(RuleError::TooMany));
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
                ..Candidate::default()
            };
            let expected = all.iter().any(|(m, u, s)| {
                has(Some(candidate.message), m) && has(candidate.url, u) && has(candidate.status, s)
            });
            prop_assert_eq!(rules.ignore(&candidate), expected);
        }
    }
}
