// SPDX-License-Identifier: BSD-2-Clause
//! What `varnishsentry` does when its first word is a command.

pub mod check;
mod settings;
mod status;

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::ExitCode;

use lexopt::{Arg, Parser};

/// What follows the command.
#[derive(Debug, Default, PartialEq)]
struct Words {
    config: Option<PathBuf>,
    json: bool,
}

/// What the commands are, for the usage.
pub const USAGE: &str = "\
Commands:
 settings                  Print a whole configuration, commented
 check [--config <file>]   Say what is wrong with the configuration, and send a test event
 status [--config <file>] [--json]
                           Say how the running daemon is
";

/// Runs the command; `None` if the word is none. `Err` says what is wrong with the words after it.
pub fn run(command: &str, rest: impl IntoIterator<Item = OsString>) -> Option<Result<ExitCode, String>> {
    let command: fn(&Words) -> ExitCode = match command {
        "settings" => |_| settings::run(),
        "check" => |words| check::run(words.config.as_deref()),
        "status" => |words| status::run(words.config.as_deref(), words.json),
        _ => return None,
    };
    Some(words(rest).map(|words| command(&words)))
}

fn words(rest: impl IntoIterator<Item = OsString>) -> Result<Words, String> {
    let mut parser = Parser::from_args(rest);
    let mut words = Words::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Long("config") => {
                let value = parser.value().map_err(|_| "option '--config' requires an argument".to_owned())?;
                words.config = Some(value.into());
            }
            Arg::Long("json") => words.json = true,
            Arg::Long(name) => return Err(format!("unrecognized option '--{name}'")),
            Arg::Short(letter) => return Err(format!("invalid option -- '{letter}'")),
            Arg::Value(value) => return Err(format!("unexpected argument '{}'", value.display())),
        }
    }
    Ok(words)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_a_command_is_known_or_refused() {
        let of = |line: &str| words(line.split_whitespace().map(OsString::from));
        assert_eq!(of(""), Ok(Words::default()));
        assert_eq!(of("--config /c --json"), Ok(Words { config: Some("/c".into()), json: true }));
        for (line, told) in [
            ("--config", "option '--config' requires an argument"),
            ("--jason", "unrecognized option '--jason'"),
            ("-n x", "invalid option -- 'n'"),
            ("more", "unexpected argument 'more'"),
        ] {
            assert_eq!(of(line), Err(told.to_owned()));
        }
        assert!(run("restart", []).is_none());
    }
}
