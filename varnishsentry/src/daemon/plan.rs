// SPDX-License-Identifier: BSD-2-Clause
//! What is to be done: the configuration, and what the command line says above it.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use transaction::tags::Tags;

use crate::config::load::{Config, FILE, Status, load, load_text};
use crate::config::problem::Problem;
use crate::config::worker::{Surroundings, Worker};
use crate::options::Options;
use crate::reader::settings::{Input, Settings as Reading};

/// All of it.
pub struct Plan {
    pub status: Status,
    pub workers: Vec<Planned>,
}

/// One worker.
pub struct Planned {
    pub settings: Arc<Worker>,
    pub reading: Reading,
}

impl Plan {
    /// Reads the configuration. The file of the default name need not be there.
    pub fn new(options: &Options, tags: &Tags) -> Result<Plan, Vec<Problem>> {
        let credentials = std::env::var_os("CREDENTIALS_DIRECTORY").map(PathBuf::from);
        let host = host();
        let around = Surroundings {
            tags,
            credentials: credentials.as_deref(),
            variable: |name| std::env::var_os(name),
            host: &host,
            is_dry: options.stdout,
        };
        let config = match &options.config {
            Some(file) => load(file, &around),
            None if !Path::new(FILE).exists() => load_text(Path::new(FILE), "", &around),
            None => load(Path::new(FILE), &around),
        }?;
        Ok(Plan::of(config, options))
    }

    fn of(config: Config, options: &Options) -> Plan {
        let Config { state_dir, mut status, workers } = config;
        // Where it is remembered how far the log was read: not by who only looks.
        let state_dir = state_dir.filter(|_| !options.stdout && !options.old_only && options.file.is_none());
        if options.stdout || options.file.is_some() || options.old_only {
            status = Status::default();
        }
        let planned = |settings: Worker| {
            let reading = reading(&settings, state_dir.as_deref(), options);
            Planned { settings: Arc::new(settings), reading }
        };
        Plan { status, workers: workers.into_iter().map(planned).collect() }
    }
}

fn reading(worker: &Worker, state_dir: Option<&Path>, options: &Options) -> Reading {
    let default = Reading::default();
    let source = &worker.source;
    let instance = options.instance.clone().or_else(|| source.instance.clone().map(OsString::from));
    Reading {
        input: options.file.clone().map_or(Input::Server(instance), Input::File),
        query: options.query.clone().or_else(|| source.query.clone()),
        grouping: options.grouping.unwrap_or(source.grouping),
        old_only: options.old_only,
        limit: options.limit,
        patience: options.patience.unwrap_or(default.patience),
        max_transactions: options.max_transactions.unwrap_or(source.max_transactions),
        transaction_timeout: options.transaction_timeout.unwrap_or(source.transaction_timeout),
        backend: options.backend,
        client: options.client,
        esi: options.esi,
        caseless: options.caseless,
        state: state_dir.map(|folder| folder.join(format!("{}.state", worker.settings.name))),
    }
}

/// What this machine calls itself.
fn host() -> String {
    let name = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    name.trim().to_owned()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use transaction::group::Grouping;

    use super::*;

    fn plan(text: &str, options: Options) -> Plan {
        let tags = Tags::new([]);
        let around =
            Surroundings { tags: &tags, credentials: None, variable: |_| None, host: "edge1", is_dry: options.stdout };
        Plan::of(load_text(Path::new("/f"), text, &around).unwrap(), &options)
    }

    #[test]
    fn the_command_line_counts_for_all_workers() {
        const TEXT: &str = "instance = 'a'\nquery = 'q'\ngrouping = 'vxid'\n[status]\nlisten = '127.0.0.1:9749'\n[worker.one]\n[worker.two]\ninstance = 'b'\nmax_transactions = 7\n";
        let by_file = plan(TEXT, Options::default());
        let [one, two] = &by_file.workers[..] else { panic!("two workers") };
        assert_eq!(
            (&one.reading.input, &two.reading.input),
            (&Input::Server(Some("a".into())), &Input::Server(Some("b".into())))
        );
        assert_eq!(
            (two.reading.query.as_deref(), two.reading.grouping, two.reading.max_transactions),
            (Some("q"), Grouping::Vxid, 7)
        );
        assert_eq!(two.reading.state.as_deref(), Some(Path::new("/var/lib/varnishsentry/two.state")));
        assert!(by_file.status.listen.is_some() && by_file.status.socket.is_some());

        let options = Options {
            instance: Some("c".into()),
            query: Some("r".to_owned()),
            grouping: Some(Grouping::Request),
            max_transactions: Some(9),
            transaction_timeout: Some(Duration::from_secs(3)),
            ..Options::default()
        };
        let by_line = plan(TEXT, options);
        for worker in &by_line.workers {
            assert_eq!(worker.reading.input, Input::Server(Some("c".into())));
            assert_eq!(
                (worker.reading.query.as_deref(), worker.reading.grouping, worker.reading.max_transactions),
                (Some("r"), Grouping::Request, 9)
            );
        }
    }

    #[test]
    fn who_only_looks_leaves_nothing_behind_and_sends_nothing() {
        for options in [
            Options { stdout: true, ..Options::default() },
            Options { file: Some("x".into()), ..Options::default() },
            Options { old_only: true, ..Options::default() },
        ] {
            let plan = plan("dsn = 'https://k@h/1'\n[spool]\nfolder = '/s'\n", options.clone());
            assert_eq!((plan.status, plan.workers[0].reading.state.as_deref()), (Status::default(), None));
            let settings = &plan.workers[0].settings.settings;
            assert_eq!((settings.client.debug, settings.spool.is_none()), (options.stdout, options.stdout));
        }
    }
}
