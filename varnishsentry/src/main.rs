// SPDX-License-Identifier: BSD-2-Clause
//! Reports errors from the shared log of Varnish to Sentry.

mod cli;
mod options;
mod pid_file;
mod print;
mod reader;
mod signals;

use std::process::ExitCode;
use std::time::Duration;

use options::{Command, Options};
use reader::Reader;
use reader::progress::Ending;
use reader::settings::{Input, Settings};
use signals::{Signal, Signals};

fn main() -> ExitCode {
    match options::parse(std::env::args_os().skip(1)) {
        Ok(Command::Help) => {
            print!("{}", options::USAGE);
            ExitCode::SUCCESS
        }
        Ok(Command::Version) => {
            let library = vapi::process::Library::installed();
            println!(
                "varnishsentry {} ({}-{} revision {})",
                env!("CARGO_PKG_VERSION"),
                library.name,
                library.version,
                library.revision
            );
            ExitCode::SUCCESS
        }
        Ok(Command::Run(options)) => match run(options) {
            Ok(code) => code,
            Err(error) => {
                eprintln!("{error}");
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("varnishsentry: {error}\n{}", options::USAGE);
            ExitCode::FAILURE
        }
    }
}

fn run(options: Options) -> Result<ExitCode, String> {
    let signals = Signals::install().map_err(|error| error.to_string())?;
    let defaults = Settings::default();
    let settings = Settings {
        input: match options.file {
            Some(file) => Input::File(file),
            None => Input::Server(options.instance),
        },
        query: options.query,
        grouping: options.grouping.unwrap_or(transaction::group::Grouping::Request),
        old_only: options.old_only,
        limit: options.limit,
        patience: options.patience.unwrap_or(defaults.patience),
        max_transactions: options.max_transactions.unwrap_or(defaults.max_transactions),
        transaction_timeout: options.transaction_timeout.unwrap_or(defaults.transaction_timeout),
        backend: options.backend,
        client: options.client,
        esi: options.esi,
        caseless: options.caseless,
        state: options.config,
    };
    let opened = reader::opening::open(settings, || !signals.has_end())?;
    let mut pid_file = options.pid_file.as_deref().map(pid_file::PidFile::open).transpose()?;
    if options.daemonize {
        vapi::process::daemonize().map_err(|error| format!("Daemon mode: {error}"))?;
    }
    if let Some(pid_file) = &mut pid_file {
        pid_file.write().map_err(|error| error.to_string())?;
    }
    let reader = Reader::start(opened, Box::new(print::Print::new())).map_err(|error| error.to_string())?;
    let ending = loop {
        match signals.next(Duration::from_millis(20)) {
            Some(Signal::End) => break None,
            Some(Signal::Flush) => reader.flush(),
            Some(Signal::Reload) | None => {}
        }
        if let Some(ending) = reader.progress().ending() {
            break Some(ending.clone());
        }
    };
    let progress = std::sync::Arc::clone(reader.progress());
    reader.stop(Duration::from_secs(5));
    eprintln!("{progress:?}");
    Ok(if matches!(ending, Some(Ending::Broken | Ending::Panicked)) { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}
