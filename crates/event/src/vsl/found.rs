// SPDX-License-Identifier: BSD-2-Clause
//! What an event tells of the records that rules have found.

use crate::capture::fields::{Fields, Kind};
use crate::rules::watch::Found;
use crate::vsl::tags::content;

/// Writes what was found, and by which rule.
pub fn write_found(fields: &mut Fields, found: &Found) {
    for each in found.matches() {
        let rule = &each.rule;
        let level = rule.level.as_str().as_bytes();
        let head =
            [&[content(rule.tag_name) as u8], level, b"\0", rule.tag_name.as_bytes(), b"\0", rule.name.as_bytes()];
        fields.put(Kind::Match, &head.concat(), &each.text);
    }
    if found.left_out() > 0 {
        fields.put(Kind::Extra, b"sentry.matches_left_out", found.left_out().to_string().as_bytes());
    }
    if let Some(worst) = found.worst() {
        fields.put(Kind::Tag, b"filter", worst.rule.name.as_bytes());
    }
}

/// What groups such events, unless somebody says otherwise: the rule, not what differs from record to record.
pub fn write_fingerprint(fields: &mut Fields, found: &Found) {
    if let Some(worst) = found.worst() {
        fields.put(Kind::Fingerprint, b"", worst.rule.name.as_bytes());
        fields.put(Kind::Fingerprint, b"", worst.rule.tag_name.as_bytes());
    }
}

/// The record that the event is called by, as `[Tag] text`.
pub fn title(found: &Found) -> Vec<u8> {
    let title = found.worst().map(|worst| [b"[", worst.rule.tag_name.as_bytes(), b"] ", &worst.text].concat());
    title.unwrap_or_default()
}
