// SPDX-License-Identifier: BSD-2-Clause
//! `varnishsentry status`: asks the running daemon at its socket.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::daemon::plan::Plan;
use crate::options::Options;
use crate::status::snapshot::Snapshot;
use crate::status::text::text;

const PATIENCE: Duration = Duration::from_secs(10);
/// As status commands of services have it: the program does not run.
const NOT_RUNNING: u8 = 3;

/// Prints how the daemon is.
pub fn run(config: Option<&Path>, json: bool) -> ExitCode {
    let options = Options { config: config.map(Path::to_owned), ..Options::default() };
    let plan = match Plan::new(&options, vapi::tags::installed()) {
        Ok(plan) => plan,
        Err(problems) => {
            problems.iter().for_each(|problem| eprintln!("{problem}"));
            return ExitCode::FAILURE;
        }
    };
    let Some(socket) = plan.status.socket else {
        eprintln!("varnishsentry: status.socket is empty, so there is nobody to ask");
        return ExitCode::FAILURE;
    };
    match ask(&socket) {
        Ok(answer) if json => print(&format!("{answer}\n")),
        Ok(answer) => match serde_json::from_str::<Snapshot>(&answer) {
            Ok(snapshot) => {
                let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                print(&text(&snapshot, now.as_secs_f64()))
            }
            Err(_) => {
                eprintln!("varnishsentry: {} gave an answer that is none", socket.display());
                ExitCode::FAILURE
            }
        },
        Err(error) => {
            eprintln!("varnishsentry: {}: {error}; does it run?", socket.display());
            let gone = [io::ErrorKind::NotFound, io::ErrorKind::ConnectionRefused];
            if gone.contains(&error.kind()) { ExitCode::from(NOT_RUNNING) } else { ExitCode::FAILURE }
        }
    }
}

fn print(text: &str) -> ExitCode {
    let written = io::stdout().lock().write_all(text.as_bytes());
    if written.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The body of the answer.
fn ask(socket: &Path) -> io::Result<String> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.write_all(b"GET /status HTTP/1.1\r\nHost: varnishsentry\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").ok_or_else(|| io::Error::other("no answer"))?;
    Ok(body.to_owned())
}
