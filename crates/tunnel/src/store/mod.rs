// SPDX-License-Identifier: BSD-2-Clause
//! What is no envelope, made one: [`event`]s of old SDKs and [`report`]s of browsers, as Relay does it.

mod event;
mod report;

pub use event::{BadEvent, envelope_of_event};
pub use report::envelope_of_report;
