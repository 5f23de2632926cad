// SPDX-License-Identifier: BSD-2-Clause
//! `varnishsentry check`: is the configuration one, can the log be read, does it hold what the filters need, and does an event arrive?

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use client::Client;
use delivery::client::Admission;
use delivery::settings::DsnSource;
use event::capture::fields::Kind;
use event::capture::level::Level;
use event::capture::record::Record;
use event::capture::scope::Scope;
use protocol::event_id::EventId;
use serde_json::Value;
use vapi::log::Log;

use crate::cli::Cli;
use crate::config::worker::Worker;
use crate::daemon::plan::{Plan, Planned};
use crate::filter::matcher::Matcher;
use crate::options::Options;
use crate::reader::opening::open;
use crate::reader::settings::{Input, Patience, Settings as Reading};
use crate::worker::clients::Clients;
use crate::worker::journal::Output;

/// For the test event to arrive: a few tries of a server that is slow.
const PATIENCE: Duration = Duration::from_secs(20);
/// For an answer of varnishd's manager.
const CLI_PATIENCE: Duration = Duration::from_secs(5);
const TEXT: &str = "varnishsentry check: a test event";

/// Checks all there is; fails if something is wrong.
pub fn run(config: Option<&Path>) -> ExitCode {
    let options = Options { config: config.map(Path::to_owned), ..Options::default() };
    let plan = match Plan::new(&options, vapi::tags::installed()) {
        Ok(plan) => plan,
        Err(problems) => {
            problems.iter().for_each(|problem| println!("{problem}"));
            return ExitCode::FAILURE;
        }
    };
    println!("configuration: ok, {} worker{}", plan.workers.len(), if plan.workers.len() == 1 { "" } else { "s" });
    let mut is_well = true;
    for planned in &plan.workers {
        is_well &= check_log(planned);
    }
    is_well &= check_sending(&plan.workers);
    if is_well { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Whether the log can be read, by this user.
fn check_log(Planned { settings, reading }: &Planned) -> bool {
    let name = &settings.settings.name;
    let patience = Patience::Limited(Duration::ZERO);
    // The library tells of a query that is none in several lines.
    let looked = open(Reading { patience, ..reading.clone() }, || true);
    if let Err(error) = looked {
        println!("worker {name}: {}", error.trim_end());
        return false;
    }
    println!("worker {name}: the log can be read");
    match mask(reading) {
        Ok(mask) => {
            for tag in hidden(&mask, needed(settings)) {
                println!(
                    "worker {name}: warning: vsl_mask hides {tag}, which a filter needs: `varnishadm param.set vsl_mask +{tag}`"
                );
            }
        }
        Err(error) => println!("worker {name}: whether vsl_mask hides what filters need is not known: {error}"),
    }
    true
}

/// The server's parameter, as its manager tells it.
fn mask(reading: &Reading) -> Result<String, String> {
    let Input::Server(instance) = &reading.input else { return Ok(String::new()) };
    let mut log = Log::new().ok_or("out of memory")?;
    log.instance(instance.as_deref())?;
    if !log.attach() {
        return Err("there is no server".to_owned());
    }
    let listen = log.argument("-T").ok_or("the server tells no address of its CLI")?;
    let cli = Cli::new(&listen, log.argument("-S").as_deref());
    cli.ask("param.show vsl_mask", CLI_PATIENCE).map_err(|error| error.to_string())
}

/// The tags that a filter needs.
fn needed(settings: &Worker) -> Vec<&'static str> {
    let tags = vapi::tags::installed();
    let matcher = Matcher::new(settings.filters.watch.clone(), &settings.filters.builtin, tags);
    let needed =
        tags.iter().filter(|(number, _)| matcher.wanted().get(usize::from(*number)).is_some_and(|wanted| *wanted != 0));
    needed.map(|(_, name)| name).collect()
}

/// Those of the tags that `vsl_mask` hides, by what `param.show` says: `Value is: -Debug,-Hash (default)`.
pub fn hidden(shown: &str, mut tags: Vec<&'static str>) -> Vec<&'static str> {
    let value = shown.lines().find_map(|line| line.trim().strip_prefix("Value is:")).unwrap_or_default();
    let masked: Vec<&str> = value.split([',', ' ']).filter_map(|word| word.trim().strip_prefix('-')).collect();
    tags.retain(|name| masked.iter().any(|masked| masked.eq_ignore_ascii_case(name)));
    tags
}

/// Sends a test event by each client, and says whether it arrived.
fn check_sending(workers: &[Planned]) -> bool {
    let mut is_well = true;
    let mut clients = Clients::new(Arc::new(Output::default()));
    // The spool is the daemon's, and the test event is to arrive now.
    let settings: Vec<_> = workers
        .iter()
        .map(|worker| settings::sections::Settings { spool: None, ..worker.settings.settings.clone() })
        .collect();
    for (settings, client) in settings.iter().zip(clients.take_over(settings.iter())) {
        let name = &settings.name;
        if settings.client.debug {
            println!("worker {name}: debug is set, so nothing is sent");
            continue;
        }
        match send(&client) {
            Ok((id, place)) => println!("worker {name}: the test event {id} arrived at {place}"),
            Err(error) => {
                println!(
                    "worker {name}: {}",
                    if settings.client.dsn == DsnSource::None { NO_DSN.to_owned() } else { error }
                );
                is_well = false;
            }
        }
    }
    clients.shutdown();
    is_well
}

const NO_DSN: &str = "there is no DSN, so nothing is sent: set dsn, dsn_file or dsn_credential";

/// The id of the event and where it arrived; `Err` says why it did not.
fn send(client: &Client) -> Result<(EventId, String), String> {
    let status = |key: &str| {
        let status: Value = serde_json::from_str(&client.status(Instant::now())).unwrap_or_default();
        status.get(key).and_then(Value::as_str).map(str::to_owned)
    };
    let place = format!("{}, project {}", status("host").unwrap_or_default(), status("project").unwrap_or_default());
    let now = Instant::now();
    if let Admission::Refused(reason) = client.admit(0, now) {
        return Err(format!(
            "the test event was not sent: {}",
            status("last_error").unwrap_or_else(|| reason.as_str().to_owned())
        ));
    }
    let id = EventId::from_random(fastrand::u128(..).to_le_bytes());
    let mut fields = client.fields();
    fields.put(Kind::Message, b"", TEXT.as_bytes());
    fields.put(Kind::Fingerprint, b"", b"varnishsentry check");
    fields.put(Kind::Logger, b"", b"varnishsentry");
    client.enqueue(Record::new(id, SystemTime::now(), Level::Info, Arc::new(Scope::default()), fields), now);
    if client.flush(PATIENCE) {
        return Ok((id, place));
    }
    let why = status("last_error").unwrap_or_else(|| "no answer in time".to_owned());
    Err(format!("the test event did not arrive at {place}: {why}"))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::load::load_text;
    use crate::config::worker::Surroundings;

    #[test]
    fn what_a_filter_needs_and_the_mask_hides_is_named() {
        let tags = vapi::tags::installed();
        let of = |text: &str, shown: &str| {
            let around = Surroundings { tags, credentials: None, variable: |_| None, host: "h", is_dry: false };
            let config = load_text(Path::new("/f"), text, &around).unwrap();
            hidden(shown, needed(&config.workers[0]))
        };
        let default = "vsl_mask\n        Value is: -Debug,-ObjHeader,-VCL_trace,-Hash (default)\n\n        Mask individual VSL messages from being logged.\n";
        assert_eq!(of("", default), [""; 0]);
        assert_eq!(of("[[filters.hash]]\n[[filters.ObjHeader]]\n", default), ["ObjHeader", "Hash"]);
        assert_eq!(of("", "        Value is: -FetchError,-VCL_Log\n"), ["FetchError"]);
        assert_eq!(
            of("[builtin]\nfetch_error = 'off'\nworkspace_overflow = 'off'\n", "        Value is: -FetchError\n"),
            [""; 0]
        );
        assert_eq!(of("[[filters.Hash]]\n", ""), [""; 0]);
    }
}
