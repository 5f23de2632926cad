// SPDX-License-Identifier: BSD-2-Clause
//! The rules of `rule()`, and those that are built in.

use std::sync::{Arc, LazyLock};

use event::capture::level::Level;
use event::rules::ignore::RuleError;
use event::rules::watch::Rule;
use event::vsl::builtin::Builtin;
use shim::log::tag_named;

use super::tags::TAGS;

/// The rules that `watch(builtin = true)` adds.
pub static BUILTIN: LazyLock<Builtin> = LazyLock::new(|| Builtin::new(|name| Some((tag_named(name)?, name))));

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
