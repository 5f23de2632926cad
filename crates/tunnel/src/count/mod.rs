// SPDX-License-Identifier: BSD-2-Clause
//! What became of all requests, in all and by project.

use std::time::Duration;

/// What only delivery knows, for `count()`.
#[derive(Clone, Debug)]
pub struct Figures<D> {
    /// Entries that wait, in memory and in the spool.
    pub waiting: u64,
    /// The mean of the times that the server takes to answer; `None` while nothing is known.
    pub average: Option<Duration>,
    /// Within which nine of ten answers come.
    pub percentile: Option<Duration>,
    pub projects: Vec<ProjectFigures<D>>,
}

/// One project's.
#[derive(Clone, Debug)]
pub struct ProjectFigures<D> {
    pub project: String,
    pub waiting: u64,
    /// What else there is to say, as it is to be in the JSON under `delivery`.
    pub delivery: D,
}
