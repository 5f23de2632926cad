// SPDX-License-Identifier: BSD-2-Clause
//! The rules that are built in: what is an error in the log of any site.

use std::sync::Arc;

use crate::capture::level::Level;
use crate::rules::watch::{Rule, Watch};

/// What an overflowing workspace is told by, in records of several tags.
const OVERFLOW: &str = "(?i)workspace.*overflow|overflow.*workspace|out of workspace|workspace full";

/// The rules for single records: tag, expression, name.
pub const RECORDS: [(&str, &str, &str); 7] = [
    ("LostHeader", "", "workspace_overflow"),
    ("Error", OVERFLOW, "workspace_overflow"),
    ("VCL_Error", OVERFLOW, "workspace_overflow"),
    ("FetchError", OVERFLOW, "workspace_overflow"),
    ("FetchError", "", "fetch_error"),
    ("VCL_Error", "", "vcl_error"),
    ("Error", "", "error"),
];

/// The rule for the status of what was delivered, and for the 503 that vcl_backend_error made: tag, name.
pub const DELIVERED: (&str, &str) = ("RespStatus", "5xx");
pub const GURU_MEDITATION: (&str, &str) = ("BerespStatus", "guru_meditation");

/// The rules, by the numbers that a server's tags have.
pub struct Builtin {
    pub watch: Watch,
    /// About the outcome of a task on the client side: the last status, of a response that is delivered.
    pub delivered: Option<Arc<Rule>>,
    /// About that of a fetch: the 503 that vcl_backend_error made.
    pub guru_meditation: Option<Arc<Rule>>,
}

impl Builtin {
    /// Makes the rules; `find` gives number and name of the tag with this name. One of a tag that the server has not is none.
    pub fn new(find: impl Fn(&'static str) -> Option<(u8, &'static str)>) -> Builtin {
        let rule = |tag: &'static str, expression: &str, name: &str| {
            // They are expressions: a test makes all of them.
            Rule::new(find(tag)?, expression, name, Level::Error).ok().map(Arc::new)
        };
        let mut watch = Watch::default();
        for (tag, expression, name) in RECORDS {
            if let Some(rule) = rule(tag, expression, name) {
                // Far fewer than the set has room for.
                let _ = watch.add(&rule);
            }
        }
        let [delivered, guru_meditation] = [DELIVERED, GURU_MEDITATION].map(|(tag, name)| rule(tag, "", name));
        Builtin { watch, delivered, guru_meditation }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_rule_is_one_and_those_of_a_tag_that_is_not_there_are_left_out() {
        let all = Builtin::new(|name| Some((name.len() as u8, name)));
        assert_eq!(all.watch.rules().count(), RECORDS.len());
        assert!(all.delivered.is_some() && all.guru_meditation.is_some());
        let some = Builtin::new(|name| (name == "Error").then_some((3, name)));
        let names: Vec<_> = some.watch.rules().map(|rule| (&*rule.name, rule.tag_name)).collect();
        assert_eq!(names, [("workspace_overflow", "Error"), ("error", "Error")]);
        assert!(some.delivered.is_none() && some.guru_meditation.is_none());
    }
}
