// SPDX-License-Identifier: BSD-2-Clause
//! Whether what is to be read can be: settings are checked and the server is waited for before anything goes into the background.

use std::time::{Duration, Instant};

use vapi::log::Log;

use super::settings::{Input, Patience, Settings};

/// How often a server that is not there is looked for.
const PAUSE: Duration = Duration::from_millis(250);

/// A log that can be read, or a server that is waited for.
pub struct Opened {
    pub(super) settings: Settings,
    pub(super) log: Log,
}

/// Checks the settings, opens the file or waits for the server; `Err` says what is wrong as the server's own readers do. `go_on` is asked
/// while it waits.
pub fn open(settings: Settings, go_on: impl Fn() -> bool) -> Result<Opened, String> {
    let mut log = prepare(&settings)?;
    let Input::Server(_) = settings.input else { return Ok(Opened { settings, log }) };
    // An endless wait is the reader's own.
    let Patience::Limited(patience) = settings.patience else { return Ok(Opened { settings, log }) };
    let begin = Instant::now();
    while !log.attach() {
        if begin.elapsed() >= patience {
            return Err("VSM: Could not get hold of varnishd, is it running?".to_owned());
        }
        if !go_on() {
            return Err("VSM: Attach interrupted".to_owned());
        }
        std::thread::sleep(PAUSE.min(patience));
    }
    Ok(Opened { settings, log })
}

/// A log with its options and its query, and the file if it is one.
pub(super) fn prepare(settings: &Settings) -> Result<Log, String> {
    let mut log = Log::new().ok_or("Out of memory")?;
    for (is_set, option) in
        [(settings.backend, 'b'), (settings.client, 'c'), (settings.esi, 'E'), (settings.caseless, 'C')]
    {
        if is_set {
            log.option(option, None)?;
        }
    }
    log.option('L', Some(&settings.max_transactions.to_string()))?;
    log.option('T', Some(&settings.transaction_timeout.as_secs_f64().to_string()))?;
    log.query(settings.grouping, settings.query.as_deref())
        .map_err(|error| format!("Query expression error:\n{error}"))?;
    match &settings.input {
        Input::Server(name) => log.instance(name.as_deref())?,
        Input::File(path) => log.file(path)?,
    }
    Ok(log)
}
