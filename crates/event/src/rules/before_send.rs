// SPDX-License-Identifier: BSD-2-Clause
//! What a VCL's author changes in events before they are sent: the level, and fields that nobody is to see.
//!
//! Whether a rule holds for an event, and which level it gets, is decided before anything of it is copied. What
//! is to be removed, the sender leaves out: fields are named there by their place in the event, as Sentry shows it.

use std::sync::Arc;

use regex::bytes::Regex;

use crate::capture::level::Level;
use crate::capture::removals::Removals;
use crate::rules::ignore::{Candidate, Expressions, Rule, RuleError, Rules, compile};

/// One rule: what it changes in the events it matches.
#[derive(Debug)]
pub struct Edit {
    when: Rule,
    level: Option<Level>,
    remove: Option<Arc<Regex>>,
}

/// What all rules together change in one event.
#[derive(Debug, Default)]
pub struct Edits {
    pub level: Option<Level>,
    pub removals: Removals,
}

impl Edit {
    /// Compiles the expressions, of which those in `when` may all be empty: then every event is meant.
    pub fn new(when: &Expressions<'_>, level: Option<Level>, remove: &str) -> Result<Edit, RuleError> {
        // Header names come in any case.
        let edit = Edit { when: Rule::of_any(when)?, level, remove: compile("remove", remove, true)?.map(Arc::new) };
        if edit.level.is_none() && edit.remove.is_none() { Err(RuleError::Idle) } else { Ok(edit) }
    }
}

impl Rules<Edit> {
    /// What the rules change in the event. Each of them sees it as it was captured; of two levels the later
    /// rule's counts.
    pub fn edits(&self, candidate: &Candidate<'_>) -> Edits {
        let matching = || self.iter().filter(|edit| edit.when.matches(candidate));
        let level = matching().filter_map(|edit| edit.level).last();
        let removals = matching().filter_map(|edit| edit.remove.clone()).collect();
        Edits { level, removals }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::fields::{Field, Kind};

    fn rules(all: &[(&str, Option<Level>, &str)]) -> Rules<Edit> {
        let rules = Rules::default();
        for (message, level, remove) in all {
            let when = Expressions { message, ..Expressions::default() };
            rules.add(&Arc::new(Edit::new(&when, *level, remove).unwrap())).unwrap();
        }
        rules
    }

    fn edits(rules: &Rules<Edit>, message: &str) -> Edits {
        rules.edits(&Candidate { message: message.as_bytes(), ..Candidate::default() })
    }

    #[test]
    fn of_the_rules_that_match_the_last_level_counts_and_all_removals() {
        let rules = rules(&[
            ("^slow", Some(Level::Warning), r"^tags\.a$"),
            ("", None, r"^tags\.b$"),
            ("page$", Some(Level::Info), ""),
        ]);
        let left = |edits: &Edits| {
            let names = [&b"a"[..], b"b", b"c"].into_iter();
            let tags = names.map(|name| Field { kind: Kind::Tag, name, value: b"v" });
            tags.filter_map(|tag| edits.removals.leave(tag)).map(|tag| tag.name).collect::<Vec<_>>()
        };
        for (message, level, tags) in [
            ("slow page", Some(Level::Info), vec![&b"c"[..]]),
            ("slow", Some(Level::Warning), vec![b"c"]),
            ("other", None, vec![b"a", b"c"]),
        ] {
            let edits = edits(&rules, message);
            assert_eq!((edits.level, left(&edits)), (level, tags), "{message}");
        }
    }

    #[test]
    fn a_rule_that_changes_nothing_is_none() {
        let of = |level, remove| Edit::new(&Expressions::default(), level, remove).map(drop);
        assert_eq!(of(None, ""), Err(RuleError::Idle));
        assert_eq!(of(Some(Level::Info), ""), Ok(()));
        let refused = of(None, "tags.(").map_err(|error| error.to_string());
        assert_eq!(refused, Err("remove is not a regular expression: unclosed group".to_owned()));
    }
}
