// SPDX-License-Identifier: BSD-2-Clause
//! `varnishsentry settings`.

use std::io::Write;
use std::process::ExitCode;

use crate::config::sample::sample;

/// Prints the sample.
pub fn run() -> ExitCode {
    let written = std::io::stdout().lock().write_all(sample().as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
