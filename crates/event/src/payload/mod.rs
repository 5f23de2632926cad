// SPDX-License-Identifier: BSD-2-Clause
//! What is sent of a record: the event as JSON, the log of its task as a file, the sampling context of its trace.

mod breadcrumbs;
mod contexts;
mod headers;
pub mod json;
pub mod log_file;
mod matches;
mod message;
pub mod sampling_context;
mod url;
mod user;
