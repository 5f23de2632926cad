// SPDX-License-Identifier: BSD-2-Clause
//! Rules for a log that is not ours: which of its records are worth an event.
//!
//! A rule has a regular expression for the records of one tag. All rules of a tag match in one go, and of
//! a tag that no rule names nothing is looked at, for most tasks end without any match.

use std::sync::Arc;

use regex::bytes::{RegexSet, RegexSetBuilder};

use crate::capture::level::Level;
use crate::rules::ignore::{MAX_CACHE, MAX_COMPILED, RuleError, compile};

/// Rules of one set.
pub const MAX_RULES: usize = 64;
/// Matches of one task that are kept.
pub const MAX_MATCHES: usize = 50;
/// Bytes kept of a record that matched.
const MAX_TEXT: usize = 1024;

/// Matches nothing, and begins with no literal. With it in a set the crate does not search for literals
/// first, which for texts as short as records costs more than the automaton alone. It is anchored, so that a set of rules
/// that are anchored, too, looks at the begin of a text only.
const NO_PREFILTER: &str = r"\A\z(?s:.)";

/// Which records are worth an event, and what is to be said of them.
#[derive(Debug)]
pub struct Rule {
    /// The number by which whoever reads the log knows the tag.
    pub tag: u8,
    pub tag_name: &'static str,
    pub name: String,
    pub level: Level,
    expression: String,
}

impl Rule {
    /// A rule for the records with this tag that `expression` matches, an empty one all of them; without a
    /// name of its own the rule has that of the tag.
    pub fn new(
        (tag, tag_name): (u8, &'static str),
        expression: &str,
        name: &str,
        level: Level,
    ) -> Result<Rule, RuleError> {
        compile("match", expression, false)?;
        let name = if name.is_empty() { tag_name } else { name };
        Ok(Rule { tag, tag_name, name: name.to_owned(), level, expression: expression.to_owned() })
    }
}

/// All rules for one tag.
#[derive(Clone, Debug)]
struct Group {
    rules: Vec<Arc<Rule>>,
    expressions: RegexSet,
}

/// A set of rules.
#[derive(Clone, Debug)]
pub struct Watch {
    groups: Vec<Group>,
    /// For each tag, the place of its group in `groups`, counted from 1.
    wanted: [u8; 256],
}

impl Default for Watch {
    fn default() -> Watch {
        Watch { groups: Vec::new(), wanted: [0; 256] }
    }
}

impl Watch {
    /// Adds a rule; a full set refuses it.
    pub fn add(&mut self, rule: &Arc<Rule>) -> Result<(), RuleError> {
        if self.rules().count() >= MAX_RULES {
            return Err(RuleError::TooMany);
        }
        let place = usize::from(self.wanted_at(rule.tag));
        let old = place.checked_sub(1).and_then(|place| self.groups.get(place));
        let mut rules = old.map(|group| group.rules.clone()).unwrap_or_default();
        rules.push(Arc::clone(rule));
        let expressions = rules.iter().map(|rule| &*rule.expression).chain([NO_PREFILTER]);
        let expressions = RegexSetBuilder::new(expressions)
            .unicode(false)
            .size_limit(MAX_COMPILED * rules.len())
            .dfa_size_limit(MAX_CACHE * rules.len())
            .build()
            .map_err(|error| RuleError::not_a_regex("match", &error))?;
        let group = Group { rules, expressions };
        match place.checked_sub(1).and_then(|place| self.groups.get_mut(place)) {
            Some(old) => *old = group,
            None => {
                self.groups.push(group);
                if let Some(wanted) = self.wanted.get_mut(usize::from(rule.tag)) {
                    // No more groups than rules.
                    *wanted = self.groups.len() as u8;
                }
            }
        }
        Ok(())
    }

    pub fn is_empty(&self) -> bool {
        self.groups.is_empty()
    }

    /// The rules, tag by tag.
    pub fn rules(&self) -> impl Iterator<Item = &Arc<Rule>> {
        self.groups.iter().flat_map(|group| &group.rules)
    }

    /// For each tag, whether a rule names it: if not, 0.
    pub fn wanted(&self) -> &[u8; 256] {
        &self.wanted
    }

    /// Whether a rule matches the record; allocates nothing.
    pub fn matches(&self, tag: u8, text: &[u8]) -> bool {
        self.group(tag).is_some_and(|group| group.expressions.is_match(text))
    }

    /// Looks at one record; what matches goes into `found`.
    pub fn see(&self, tag: u8, text: &[u8], found: &mut Found) {
        let Some(group) = self.group(tag) else { return };
        // Asking for the numbers of the matches allocates.
        if group.expressions.is_match(text) {
            let matches = group.expressions.matches(text);
            matches.iter().filter_map(|at| group.rules.get(at)).for_each(|rule| found.add(rule, text));
        }
    }

    fn group(&self, tag: u8) -> Option<&Group> {
        self.groups.get(usize::from(self.wanted_at(tag)).checked_sub(1)?)
    }

    fn wanted_at(&self, tag: u8) -> u8 {
        self.wanted.get(usize::from(tag)).copied().unwrap_or_default()
    }
}

/// A record that a rule matched.
#[derive(Clone, Debug)]
pub struct Match {
    pub rule: Arc<Rule>,
    pub text: Box<[u8]>,
}

/// What was found in one task's log, in the order of the log.
#[derive(Clone, Debug, Default)]
pub struct Found {
    matches: Vec<Match>,
    left_out: usize,
}

impl Found {
    /// Adds a match. Of too many the first ones are kept, and in place of the last one the most severe.
    pub fn add(&mut self, rule: &Arc<Rule>, text: &[u8]) {
        let is_worse = self.worst().is_none_or(|worst| rule.level > worst.rule.level);
        if self.matches.len() >= MAX_MATCHES {
            self.left_out += 1;
            if !is_worse {
                return;
            }
            self.matches.pop();
        }
        self.matches.push(Match { rule: Arc::clone(rule), text: text.get(..MAX_TEXT).unwrap_or(text).into() });
    }

    /// The first one of those with the highest level.
    pub fn worst(&self) -> Option<&Match> {
        // max_by_key() would take the last one.
        self.matches.iter().rev().max_by_key(|found| found.rule.level)
    }

    pub fn matches(&self) -> &[Match] {
        &self.matches
    }

    /// How many more there were.
    pub fn left_out(&self) -> usize {
        self.left_out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LOG: (u8, &str) = (70, "VCL_Log");
    const ERROR: (u8, &str) = (3, "FetchError");

    fn watch(rules: &[((u8, &'static str), &str, &str, Level)]) -> Watch {
        let mut watch = Watch::default();
        for (tag, expression, name, level) in rules {
            watch.add(&Arc::new(Rule::new(*tag, expression, name, *level).unwrap())).unwrap();
        }
        watch
    }

    fn found(watch: &Watch, log: &[(u8, &str)]) -> Found {
        let mut found = Found::default();
        log.iter().for_each(|(tag, text)| watch.see(*tag, text.as_bytes(), &mut found));
        found
    }

    fn told(found: &Found) -> Vec<String> {
        let tell = |found: &Match| format!("{} {}", found.rule.name, String::from_utf8_lossy(&found.text));
        found.matches().iter().map(tell).collect()
    }

    #[test]
    fn only_records_of_the_tag_match_and_each_rule_that_does_is_told() {
        let watch = watch(&[
            (LOG, r"^\[WTF\]", "wtf", Level::Warning),
            (ERROR, "", "", Level::Error),
            (LOG, "(?i)slow", "slow", Level::Info),
        ]);
        let log = [(70, "[WTF] so SLOW"), (70, "fine"), (3, "timeout"), (4, "[WTF] slow"), (0, ""), (255, "")];
        let found = found(&watch, &log);
        let matching: Vec<_> = log.iter().filter(|(tag, text)| watch.matches(*tag, text.as_bytes())).collect();
        assert_eq!(matching, [&log[0], &log[2]]);
        assert_eq!(told(&found), ["wtf [WTF] so SLOW", "slow [WTF] so SLOW", "FetchError timeout"]);
        assert_eq!(found.worst().map(|worst| &*worst.rule.name), Some("FetchError"));
        let wanted: Vec<_> = (0..256).filter(|tag| watch.wanted()[*tag] != 0).collect();
        assert_eq!(wanted, [3, 70]);
    }

    #[test]
    fn of_equally_severe_matches_the_first_one_leads() {
        let watch =
            watch(&[(LOG, "b", "b", Level::Error), (LOG, "a", "a", Level::Error), (LOG, "c", "c", Level::Debug)]);
        let worst = |log: &[(u8, &str)]| found(&watch, log).worst().map(|worst| worst.rule.name.clone());
        assert_eq!(worst(&[(70, "c"), (70, "a"), (70, "b")]).as_deref(), Some("a"));
        assert_eq!(worst(&[(70, "cab")]).as_deref(), Some("b"), "of one record, by the order of the rules");
        assert_eq!(worst(&[(70, "none")]), None);
    }

    #[test]
    fn of_too_many_matches_the_first_are_kept_and_the_most_severe() {
        let watch = watch(&[(LOG, "^[0-9]", "many", Level::Info), (ERROR, "", "worst", Level::Fatal)]);
        let log: Vec<_> = (0..60).map(|number| number.to_string()).collect();
        let mut found = Found::default();
        log.iter().for_each(|text| watch.see(70, text.as_bytes(), &mut found));
        watch.see(3, &[b'x'; 3000], &mut found);
        watch.see(3, b"another", &mut found);
        assert_eq!((found.matches().len(), found.left_out()), (MAX_MATCHES, 12));
        assert_eq!(found.worst().map(|worst| (&*worst.rule.name, worst.text.len())), Some(("worst", MAX_TEXT)));
        assert_eq!(told(&found)[48], "many 48");
    }

    #[test]
    fn what_is_no_expression_is_named_and_a_full_set_refuses_one_more() {
        let refused = Rule::new(LOG, "a(", "", Level::Error).map(drop).map_err(|error| error.to_string());
        assert_eq!(refused, Err("match is not a regular expression: unclosed group".to_owned()));
        let mut watch = Watch::default();
        for number in 0..MAX_RULES {
            // The largest that is allowed for one fits as often as rules do.
            let (tag, large) = (number as u8 % 3, "x{1000}".repeat(6));
            assert_eq!(watch.add(&Arc::new(Rule::new((tag, "Tag"), &large, "", Level::Error).unwrap())), Ok(()));
        }
        let one_more = Arc::new(Rule::new(LOG, "x", "", Level::Error).unwrap());
        assert_eq!(watch.add(&one_more), Err(RuleError::TooMany));
        assert_eq!(watch.rules().count(), MAX_RULES);
    }
}
