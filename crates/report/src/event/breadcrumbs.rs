// SPDX-License-Identifier: BSD-2-Clause
//! The breadcrumbs of an event: what happened before it, in the order of time.

use std::borrow::Cow;

use serde::Serialize;

use crate::level::Level;
use crate::scope::MAX_BREADCRUMBS;
use crate::text::{line, text};

const MAX_CATEGORY: usize = 128;
const MAX_MESSAGE: usize = 8192;

/// The breadcrumbs of the VCL's scope and of the task's.
#[derive(Debug, Default, Serialize)]
pub(super) struct Breadcrumbs<'a> {
    values: Vec<Breadcrumb<'a>>,
}

#[derive(Debug, Serialize)]
struct Breadcrumb<'a> {
    timestamp: f64,
    level: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    category: Cow<'a, str>,
    message: Cow<'a, str>,
}

impl<'a> Breadcrumbs<'a> {
    /// Adds what a [`crate::record::Kind::Breadcrumb`] says; one without a sane time is no breadcrumb.
    pub fn add(&mut self, name: &'a [u8], message: &'a [u8]) {
        self.values.extend(breadcrumb(name, message));
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sentry shows breadcrumbs as they come, oldest first; two scopes are two lists.
    pub fn finish(mut self) -> Breadcrumbs<'a> {
        self.values.sort_by(|one, other| one.timestamp.total_cmp(&other.timestamp));
        self.values.drain(..self.values.len().saturating_sub(MAX_BREADCRUMBS));
        self
    }
}

fn breadcrumb<'a>(name: &'a [u8], message: &'a [u8]) -> Option<Breadcrumb<'a>> {
    let (rest, seconds) = name.split_last_chunk()?;
    let (level, category) = rest.split_at_checked(rest.iter().position(|byte| *byte == 0)?)?;
    let category = category.strip_prefix(b"\0")?.strip_suffix(b"\0")?;
    // Up to the year 9999, the last one that RFC 3339 has.
    let seconds = Some(f64::from_le_bytes(*seconds)).filter(|seconds| (0.0..253_402_300_799.0).contains(seconds))?;
    Some(Breadcrumb {
        timestamp: micros(seconds),
        level: Level::from_name(level).unwrap_or(Level::Info).as_str(),
        category: line(category, MAX_CATEGORY),
        message: text(message, MAX_MESSAGE),
    })
}

/// Sentry keeps microseconds; more digits would only show how a float rounds.
pub(super) fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}
