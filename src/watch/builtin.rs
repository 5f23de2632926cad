// SPDX-License-Identifier: BSD-2-Clause
//! The rules of `rule()`, and those that are built in.

use std::sync::{Arc, LazyLock};

use event::capture::level::Level;
use event::rules::ignore::RuleError;
use event::rules::watch::{Rule, Watch};
use shim::log::tag_named;

use super::tags::TAGS;

/// The rules that `watch(builtin = true)` adds.
pub struct Builtin {
    pub watch: Watch,
    /// The response that was delivered.
    pub delivered: Option<Arc<Rule>>,
    /// What vcl_backend_error made.
    pub guru_meditation: Option<Arc<Rule>>,
}

pub static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| {
    let rule = |tag: &'static str, expression: &str, name: &str, level| {
        // All of these are tags of every server, and expressions: the tests load them.
        Rule::new((tag_named(tag)?, tag), expression, name, level).ok().map(Arc::new)
    };
    const OVERFLOW: &str = "(?i)workspace.*overflow|overflow.*workspace|out of workspace|workspace full";
    let rules = [
        rule("LostHeader", "", "workspace_overflow", Level::Error),
        rule("Error", OVERFLOW, "workspace_overflow", Level::Error),
        rule("VCL_Error", OVERFLOW, "workspace_overflow", Level::Error),
        rule("FetchError", OVERFLOW, "workspace_overflow", Level::Error),
        rule("FetchError", "", "fetch_error", Level::Error),
        rule("VCL_Error", "", "vcl_error", Level::Error),
        rule("Error", "", "error", Level::Error),
    ];
    let mut watch = Watch::default();
    for rule in rules.iter().flatten() {
        // Far fewer than the set has room for.
        let _ = watch.add(rule);
    }
    Builtin {
        watch,
        delivered: rule("RespStatus", "", "5xx", Level::Error),
        guru_meditation: rule("BerespStatus", "", "guru_meditation", Level::Error),
    }
});

/// Compiles the rules that are built in: when a VCL is loaded, not in traffic.
pub fn install() {
    LazyLock::force(&BUILTIN);
    LazyLock::force(&TAGS);
}

/// The rule that the arguments of a call make; the problem reads well after its name.
pub fn rule(tag: &str, expression: &str, name: &str, level: Level) -> Result<Arc<Rule>, String> {
    let number = tag_named(tag).ok_or_else(|| format!("tag must be one that records of a task have, got \"{tag}\""))?;
    let name_of_tag = shim::log::tag_name(number).unwrap_or_default();
    let rule = Rule::new((number, name_of_tag), expression, name, level);
    rule.map(Arc::new).map_err(|error: RuleError| format!("{error}, got \"{expression}\""))
}
