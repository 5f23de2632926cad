// SPDX-License-Identifier: BSD-2-Clause
//! The program.

use std::process::ExitCode;

use varnishsentry::options::Command;
use varnishsentry::{commands, daemon, options};

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
