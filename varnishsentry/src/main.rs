// SPDX-License-Identifier: BSD-2-Clause
//! Reports errors from the shared log of Varnish to Sentry, without touching VCL.
//!
//! In the order of what happens: [`options`] and [`commands`], what is asked for. [`config`], what the operator says. [`daemon`], the loop. [`reader`], which reads the
//! log. [`worker`], which takes it: [`filter`], what is an event; [`log`], what records tell; [`report`], the event. [`status`], how all that goes.

mod cli;
mod commands;
mod config;
mod daemon;
mod filter;
mod log;
mod options;
mod pid_file;
mod reader;
mod report;
mod signals;
mod status;
mod worker;

use std::process::ExitCode;

use options::Command;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    if let Some((first, rest)) = arguments.split_first()
        && let Some(done) = commands::run(&first.to_string_lossy(), rest.to_vec())
    {
        return done.unwrap_or_else(|error| misused(&error));
    }
    match options::parse(arguments) {
        Ok(Command::Help) => {
            print!("{}\n{}", options::USAGE, commands::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            let vapi::process::Library { name, version, revision } = vapi::process::Library::installed();
            println!("varnishsentry {} ({name}-{version} revision {revision})", env!("CARGO_PKG_VERSION"));
            ExitCode::SUCCESS
        }
        Ok(Command::Run(options)) => daemon::run::run(&options).unwrap_or_else(|error| {
            eprintln!("{error}");
            ExitCode::FAILURE
        }),
        Err(error) => misused(&error),
    }
}

fn misused(error: &str) -> ExitCode {
    eprintln!("varnishsentry: {error}\n{}\n{}", options::USAGE, commands::USAGE);
    ExitCode::FAILURE
}
