// SPDX-License-Identifier: BSD-2-Clause
//! What an object is told about failures, its group and who shares its list at its making, and the checks of it.

use denylist::{Failures, Limits, Terms};
use shim::VclString;

/// The arguments as VCL passes them.
#[derive(Clone, Copy)]
pub struct Arguments<'t> {
    pub keep: VclString<'t>,
    pub group: VclString<'t>,
    pub keep_one: bool,
    pub max_sick_percent: i64,
    pub on: VclString<'t>,
    pub ttl: f64,
    pub max_ttl: f64,
    pub half_open: bool,
    pub max_failure_percent: i64,
    pub min_requests: i64,
    pub window: f64,
}

/// How an object deals with failures.
pub struct Policy {
    /// Whom it shares its list with; empty if with nobody.
    pub keep: Box<str>,
    /// Whom it stands together with; empty if it stands alone.
    pub group: Box<str>,
    /// Whether it refuses only while another member of the group would serve.
    pub keep_one: bool,
    /// How many members may refuse as a whole at a time.
    pub max_sick_percent: u64,
    /// What counts as one.
    pub failures: Failures,
    /// For how long observe() denies.
    pub ttl: f64,
    /// What comes of an offence.
    pub terms: Terms,
    /// What makes it sick as a whole, beside the threshold.
    pub limits: Limits,
}

impl Policy {
    /// Whether it refuses for nothing but live entries: no failure rate, no trials.
    #[inline]
    pub fn is_plain(&self) -> bool {
        self.limits.percent == 0 && !self.terms.half_open
    }
}

impl Arguments<'_> {
    /// Checks the arguments of `object`; `Err` says what is wrong.
    pub fn policy(self, object: &str) -> Result<Policy, String> {
        let keep = text(self.keep, "keep", object)?;
        let group = text(self.group, "group", object)?;
        let max_sick_percent = number(self.max_sick_percent, 0, 100, "max_sick_percent", object)?;
        if max_sick_percent < 100 && group.is_empty() {
            return Err(format!("max_sick_percent of {object} needs a group"));
        }
        let on = text(self.on, "on", object)?;
        let failures = Failures::parse(on).map_err(|unknown| format!("on of {object} {unknown}"))?;
        if self.ttl.is_nan() || self.ttl <= 0.0 {
            return Err(format!("ttl of {object} must be more than 0s, got {:.3}s", self.ttl));
        }
        // Without a failure the ttl, which has a default, means nothing.
        let least = if failures.is_empty() { 0.0 } else { self.ttl };
        if self.max_ttl.is_nan() || self.max_ttl < 0.0 || (self.max_ttl > 0.0 && self.max_ttl < least) {
            return Err(format!(
                "max_ttl of {object} must be 0s or at least ttl, {least:.3}s, got {:.3}s",
                self.max_ttl
            ));
        }
        let terms = Terms { max_ttl: self.max_ttl, half_open: self.half_open };
        let percent = number(self.max_failure_percent, 0, 100, "max_failure_percent", object)?;
        if percent > 0 && failures.is_empty() {
            return Err(format!("max_failure_percent of {object} needs on, which says what is a failure"));
        }
        let min_fetches = number(self.min_requests, 1, 1_000_000, "min_requests", object)?;
        if !(1.0..=3600.0).contains(&self.window) {
            return Err(format!("window of {object} must be between 1s and 3600s, got {:.3}s", self.window));
        }
        let limits = Limits { percent, min_fetches, window: self.window, half_open: self.half_open };
        Ok(Policy {
            keep: keep.into(),
            group: group.into(),
            keep_one: self.keep_one,
            max_sick_percent,
            failures,
            ttl: self.ttl,
            terms,
            limits,
        })
    }
}

fn text<'t>(argument: VclString<'t>, name: &str, object: &str) -> Result<&'t str, String> {
    argument.text().map_err(|_| format!("{name} of {object} must be UTF-8"))
}

fn number(value: i64, least: u64, most: u64, name: &str, object: &str) -> Result<u64, String> {
    match u64::try_from(value) {
        Ok(number) if (least..=most).contains(&number) => Ok(number),
        _ => Err(format!("{name} of {object} must be between {least} and {most}, got {value}")),
    }
}
