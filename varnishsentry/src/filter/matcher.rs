// SPDX-License-Identifier: BSD-2-Clause
//! Which groups are events: by filters for single records, and by what came of a transaction.
//!
//! Most groups are none. A look at one costs no allocation: by the tag it is known whether any filter asks for a record, and all filters of a tag match in one go.

use std::sync::Arc;

use event::rules::watch::{Found, Rule, Watch};
use event::vsl::builtin::{DELIVERED, GURU_MEDITATION, RECORDS};
use transaction::group::{Group, Kind, Record};
use transaction::tags::{Tags, Wanted};

use crate::config::builtin::Builtin;
use crate::log::reading::Reading;

/// All filters of a worker.
pub struct Matcher {
    /// The operator's own: of two filters for one record theirs is the first.
    own: Watch,
    builtin: Watch,
    delivered: Option<Arc<Rule>>,
    guru_meditation: Option<Arc<Rule>>,
    wanted: Wanted,
}

/// What was found in a group.
pub struct FoundIn {
    pub found: Found,
    /// The place of the transaction whose record leads.
    pub at: usize,
}

impl Matcher {
    pub fn new(own: Watch, builtin: &Builtin, tags: &Tags) -> Matcher {
        let rule = |tag: &str, expression: &str, name: &str| {
            let level = builtin.of_rule(name)?;
            // They are expressions: a test of theirs makes all of them.
            Rule::new(tags.named(tag)?, expression, name, level).ok().map(Arc::new)
        };
        let mut watch = Watch::default();
        for rule in RECORDS.iter().filter_map(|(tag, expression, name)| rule(tag, expression, name)) {
            // Far fewer than the set has room for.
            let _ = watch.add(&rule);
        }
        let [delivered, guru_meditation] = [DELIVERED, GURU_MEDITATION].map(|(tag, name)| rule(tag, "", name));
        let mut wanted = [0; 256];
        for (at, wanted) in wanted.iter_mut().enumerate() {
            let asks = |watch: &Watch| watch.wanted().get(at).is_some_and(|place| *place != 0);
            let judges = |rule: &Option<Arc<Rule>>| rule.as_ref().is_some_and(|rule| usize::from(rule.tag) == at);
            *wanted = u8::from(asks(&own) || asks(&watch) || judges(&delivered) || judges(&guru_meditation));
        }
        Matcher { own, builtin: watch, delivered, guru_meditation, wanted }
    }

    /// The tags of the records that are looked at.
    pub fn wanted(&self) -> &Wanted {
        &self.wanted
    }

    /// Whether there may be something in the group: of what has to be judged as a whole not all is known yet.
    pub fn may_match(&self, group: &Group) -> bool {
        group.transactions().any(|transaction| transaction.records().any(|record| self.may_be(record)))
    }

    fn may_be(&self, Record { tag, text, .. }: Record<'_>) -> bool {
        let asks = |rule: &Option<Arc<Rule>>| rule.as_ref().is_some_and(|rule| rule.tag == tag);
        (asks(&self.delivered) && text.first() == Some(&b'5'))
            || (asks(&self.guru_meditation) && text == b"503")
            || self.own.matches(tag, text)
            || self.builtin.matches(tag, text)
    }

    /// What is in the group, whose transactions are `readings`; `None` if that is nothing.
    pub fn find(&self, group: &Group, readings: &[Reading<'_>]) -> Option<FoundIn> {
        let mut looking = Looking { found: Found::default(), at: 0 };
        for (at, transaction) in group.transactions().enumerate() {
            for record in transaction.records() {
                looking.look(at, |found| self.see(record, found));
            }
        }
        // What came of it is told after why.
        for (at, reading) in readings.iter().enumerate().filter(|(_, reading)| reading.is_last()) {
            let status = reading.status.unwrap_or_default();
            let rule = match reading.head.kind {
                Kind::Request if status.first() == Some(&b'5') => &self.delivered,
                Kind::BackendRequest if status == b"503" && reading.has_failed => &self.guru_meditation,
                _ => continue,
            };
            if let Some(rule) = rule {
                looking.look(at, |found| found.add(rule, status));
            }
        }
        looking.found.worst().is_some().then_some(FoundIn { found: looking.found, at: looking.at })
    }

    /// What there is in a record of no group.
    pub fn find_record(&self, record: Record<'_>) -> Option<Found> {
        if !self.may_be(record) {
            return None;
        }
        let mut found = Found::default();
        self.see(record, &mut found);
        found.worst().is_some().then_some(found)
    }

    fn see(&self, record: Record<'_>, found: &mut Found) {
        self.own.see(record.tag, record.text, found);
        self.builtin.see(record.tag, record.text, found);
    }
}

struct Looking {
    found: Found,
    at: usize,
}

impl Looking {
    /// Has `look` add what it finds in the transaction at `at`, which leads if it is worse than all before.
    fn look(&mut self, at: usize, look: impl FnOnce(&mut Found)) {
        let level = |found: &Found| found.worst().map(|worst| worst.rule.level);
        let before = level(&self.found);
        look(&mut self.found);
        if level(&self.found) > before {
            self.at = at;
        }
    }
}

#[cfg(test)]
mod tests {
    use event::capture::level::Level;

    use super::*;
    use crate::log::parts::Parts;
    use crate::log::sample::{group_of, groups, tags};

    fn matcher(own: &[(&str, &str, &str, Level)], builtin: &Builtin) -> Matcher {
        let (tags, mut watch) = (tags(), Watch::default());
        for (tag, expression, name, level) in own {
            let rule = Rule::new(tags.named(tag).unwrap(), expression, name, *level).unwrap();
            watch.add(&Arc::new(rule)).unwrap();
        }
        Matcher::new(watch, builtin, &tags)
    }

    /// What is found by name, and in which transaction the worst.
    fn told(matcher: &Matcher, group: &Group) -> Option<(Vec<String>, u64)> {
        let parts = Parts::new(&tags());
        let readings: Vec<_> = group.transactions().map(|one| Reading::of(one, &parts)).collect();
        let FoundIn { found, at } = matcher.find(group, &readings)?;
        assert!(matcher.may_match(group), "what is found was seen at the first look");
        let names = found.matches().iter().map(|found| found.rule.name.clone()).collect();
        Some((names, readings[at].head.vxid))
    }

    const OFF: Builtin = Builtin {
        delivered: None,
        fetch_error: None,
        guru_meditation: None,
        vcl_error: None,
        error: None,
        workspace_overflow: None,
        backend_sick: None,
        backend_healthy: None,
        threads: None,
        log_lost: None,
    };

    fn some<const N: usize>(names: [&str; N], vxid: u64) -> Option<(Vec<String>, u64)> {
        Some((names.map(str::to_owned).to_vec(), vxid))
    }

    #[test]
    fn without_a_filter_of_the_operators_errors_are_found_and_why_leads_what_came_of_it() {
        let (groups, matcher) = (groups(), matcher(&[], &Builtin::default()));
        for (url, expected) in [
            ("/dead/x?token=abc", some(["fetch_error", "5xx", "guru_meditation"], 6)),
            ("/esi", some(["fetch_error", "5xx", "guru_meditation"], 32_776)),
            ("/synth", some(["5xx"], 12)),
            ("/500", some(["5xx"], 14)),
            ("/restart", None),
            ("/retry", None),
        ] {
            assert_eq!(told(&matcher, group_of(&groups, url)), expected, "{url}");
        }
    }

    #[test]
    fn what_is_off_is_not_found_and_another_level_leads() {
        let groups = groups();
        let dead = group_of(&groups, "/dead/x?token=abc");
        assert_eq!(told(&matcher(&[], &OFF), dead), None);
        assert!(!matcher(&[], &OFF).may_match(dead) && matcher(&[], &OFF).wanted().iter().all(|wanted| *wanted == 0));
        let builtin = Builtin { fetch_error: Some(Level::Info), delivered: Some(Level::Fatal), ..OFF };
        assert_eq!(told(&matcher(&[], &builtin), dead), some(["fetch_error", "5xx"], 5));
    }

    #[test]
    fn the_operators_filters_are_the_first_of_equals() {
        let own = [("FetchError", "errno", "mine", Level::Error), ("ReqURL", "^/none", "none", Level::Fatal)];
        let matcher = matcher(&own, &Builtin { fetch_error: Some(Level::Error), ..OFF });
        let groups = groups();
        assert_eq!(told(&matcher, group_of(&groups, "/dead/x?token=abc")), some(["mine", "fetch_error"], 6));
        assert_eq!(told(&matcher, group_of(&groups, "/synth")), None);
    }

    #[test]
    fn what_was_tried_again_is_no_outcome() {
        let tags = tags();
        let printed = "*   << Request  >> 1\n-   RespStatus     503\n-   Link           req 2 restart\n\
                       *   << Request  >> 2\n-   RespStatus     200\n\
                       **  << BeReq    >> 3\n--  BerespStatus   503\n--  VCL_call       BACKEND_ERROR\n--  Link           bereq 4 retry\n\
                       *** << BeReq    >> 4\n--- BerespStatus   200";
        let group = crate::log::sample::group(&tags, printed);
        let matcher = matcher(&[], &Builtin::default());
        assert!(matcher.may_match(&group), "the whole tells");
        assert_eq!(told(&matcher, &group), None);
    }

    #[test]
    fn a_record_of_no_group_is_looked_at_by_itself() {
        let tags = tags();
        let matcher = matcher(&[("CLI", "vcl.load", "load", Level::Info)], &Builtin::default());
        let found = |name, text: &str| {
            let record = Record {
                tag: tags.named(name).unwrap().0,
                side: transaction::group::Side::None,
                text: text.as_bytes(),
            };
            matcher.find_record(record).and_then(|found| found.worst().map(|worst| worst.rule.name.clone()))
        };
        assert_eq!(found("CLI", "Rd vcl.load x"), Some("load".to_owned()));
        assert_eq!(found("CLI", "Rd ping"), None);
        assert_eq!(found("Error", "x"), Some("error".to_owned()));
        assert_eq!(found("RespStatus", "503"), None, "a status is judged in its transaction");
    }
}
