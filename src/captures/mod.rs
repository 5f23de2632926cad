// SPDX-License-Identifier: BSD-2-Clause
//! From a task to a record: what the request's thread does for an event, and all it does.

mod captured;
mod ending;
mod record;
mod rules;
mod story;
mod subject;
mod task_log;
mod watched;

pub use captured::capture;
pub use subject::Subject;
