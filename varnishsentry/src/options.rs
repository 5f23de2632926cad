// SPDX-License-Identifier: BSD-2-Clause
//! The command line: the options of the server's own readers, and a few of its own. What is wrong with one is said in the words that those use.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::time::Duration;

use lexopt::{Arg, Parser};
use transaction::group::Grouping;

use crate::reader::settings::{MOST_TRANSACTIONS, Patience};

/// What was given; `None` leaves it to the configuration.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Options {
    pub config: Option<PathBuf>,
    /// Events are shown, not sent.
    pub stdout: bool,
    /// `-b`
    pub backend: bool,
    /// `-c`
    pub client: bool,
    /// `-C`
    pub caseless: bool,
    /// `-d`
    pub old_only: bool,
    /// `-D`
    pub daemonize: bool,
    /// `-E`
    pub esi: bool,
    /// `-g`
    pub grouping: Option<Grouping>,
    /// `-k`
    pub limit: Option<u64>,
    /// `-L`
    pub max_transactions: Option<u32>,
    /// `-n`
    pub instance: Option<OsString>,
    /// `-P`
    pub pid_file: Option<PathBuf>,
    /// `-q`, or several of them, one a line: a group has to match one.
    pub query: Option<String>,
    /// `-r`
    pub file: Option<PathBuf>,
    /// `-t`
    pub patience: Option<Patience>,
    /// `-T`
    pub transaction_timeout: Option<Duration>,
}

/// What the command line asks for.
#[derive(Clone, Debug, PartialEq)]
pub enum Command {
    /// To read, and to report.
    Run(Options),
    /// `-h`
    Help,
    /// `-V`
    Version,
}

pub const USAGE: &str = "\
Usage: varnishsentry <options>

Options:
 -b                        Only backend transactions
 -c                        Only client transactions
 -C                        Caseless regular expressions in queries
 --config <file>           Read this configuration
 -d                        Process old log entries and exit
 -D                        Daemonize
 -E                        Client transactions with their ESI includes
 -g <session|request|vxid|raw>
                           Grouping mode
 -h                        Usage help
 -k <num>                  Exit after so many matching groups
 -L <limit>                Incomplete transaction limit
 -n <dir>                  varnishd working directory
 -P <file>                 PID file
 -q <query>                VSL query
 -r <filename>             Binary file input, - for standard input
 --stdout                  Show events, send none
 -t <seconds|off>          VSM connection timeout
 -T <seconds>              Transaction end timeout
 -V                        Version
";

/// Reads the arguments behind the program's name.
pub fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, String> {
    let mut parser = Parser::from_args(arguments);
    let mut options = Options::default();
    while let Some(argument) = parser.next().map_err(|error| error.to_string())? {
        match argument {
            Arg::Short('b') => options.backend = true,
            Arg::Short('c') => options.client = true,
            Arg::Short('C') => options.caseless = true,
            Arg::Long("config") => options.config = Some(value(&mut parser, "--config")?.into()),
            Arg::Short('d') => options.old_only = true,
            Arg::Short('D') => options.daemonize = true,
            // As in the server's own readers.
            Arg::Short('E') => (options.esi, options.client) = (true, true),
            Arg::Short('g') => options.grouping = Some(vapi::log::grouping(&text(&mut parser, "-g")?)?),
            Arg::Short('h') => return Ok(Command::Help),
            Arg::Short('k') => options.limit = Some(number_of_groups(&text(&mut parser, "-k")?)?),
            Arg::Short('L') => options.max_transactions = Some(transactions(&text(&mut parser, "-L")?)?),
            Arg::Short('n') => options.instance = Some(value(&mut parser, "-n")?),
            Arg::Short('P') => options.pid_file = Some(value(&mut parser, "-P")?.into()),
            Arg::Short('q') => add_query(&mut options.query, &text(&mut parser, "-q")?),
            Arg::Short('r') => options.file = Some(value(&mut parser, "-r")?.into()),
            Arg::Long("stdout") => options.stdout = true,
            Arg::Short('t') => options.patience = Some(patience(&text(&mut parser, "-t")?)?),
            Arg::Short('T') => options.transaction_timeout = Some(timeout(&text(&mut parser, "-T")?)?),
            Arg::Short('V') => return Ok(Command::Version),
            Arg::Short(letter) => return Err(format!("invalid option -- '{letter}'")),
            Arg::Long(name) => return Err(format!("unrecognized option '--{name}'")),
            Arg::Value(value) => return Err(format!("unexpected argument '{}'", value.display())),
        }
    }
    options.check().map(Command::Run)
}

impl Options {
    fn check(self) -> Result<Options, String> {
        if self.instance.is_some() && self.file.is_some() {
            return Err("Only one of -n and -r options may be used".to_owned());
        }
        let reads_stdin = self.file.as_deref().is_some_and(|file| file.as_os_str() == OsStr::new("-"));
        if reads_stdin && self.daemonize {
            return Err("Daemon cannot read from stdin".to_owned());
        }
        if self.stdout && self.daemonize {
            return Err("Daemon cannot write to stdout".to_owned());
        }
        Ok(self)
    }
}

fn value(parser: &mut Parser, option: &str) -> Result<OsString, String> {
    parser.value().map_err(|_| match option.strip_prefix("--") {
        Some(name) => format!("option '--{name}' requires an argument"),
        None => format!("option requires an argument -- '{}'", option.trim_start_matches('-')),
    })
}

fn text(parser: &mut Parser, option: &str) -> Result<String, String> {
    value(parser, option)?.into_string().map_err(|value| format!("{option}: not a text: '{}'", value.display()))
}

/// Several queries are one whose lines are alternatives.
fn add_query(query: &mut Option<String>, more: &str) {
    *query = Some(match query.take() {
        Some(query) => format!("{query}\n{more}"),
        None => more.to_owned(),
    });
}

fn number_of_groups(text: &str) -> Result<u64, String> {
    text.parse()
        .ok()
        .filter(|number| (1..=i32::MAX as u64).contains(number))
        .ok_or_else(|| format!("-k: Invalid number '{text}'"))
}

/// A limit of transactions under way, as `-L` takes it.
pub fn transactions(text: &str) -> Result<u32, String> {
    let number: i64 = text.trim_end().parse().map_err(|_| "-L: Syntax error".to_owned())?;
    let number = u32::try_from(number).ok().filter(|number| (1..=MOST_TRANSACTIONS).contains(number));
    number.ok_or_else(|| format!("-L: Range error, must be between 1 and {MOST_TRANSACTIONS}"))
}

/// Seconds until a transaction is given up, as `-T` takes them.
pub fn timeout(text: &str) -> Result<Duration, String> {
    let seconds = seconds(text).ok_or("-T: Syntax error")?;
    Duration::try_from_secs_f64(seconds).map_err(|_| "-T: Range error".to_owned())
}

/// Seconds until a server is given up that is not there, or `off`, as `-t` takes them.
pub fn patience(text: &str) -> Result<Patience, String> {
    if text.eq_ignore_ascii_case("off") {
        return Ok(Patience::Endless);
    }
    let limit = seconds(text).and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    limit.map(Patience::Limited).ok_or_else(|| format!("-t: Invalid argument: {text}"))
}

/// A decimal number: no exponents, no infinity.
fn seconds(text: &str) -> Option<f64> {
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'-'));
    text.parse().ok().filter(|_| is_plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Command, String> {
        parse(line.split_whitespace().map(OsString::from))
    }

    fn options(line: &str) -> Options {
        match parsed(line) {
            Ok(Command::Run(options)) => options,
            other => panic!("{line}: {other:?}"),
        }
    }

    #[test]
    fn options_are_those_of_the_servers_readers() {
        let all =
            options("-bcCdDE -g req -k 3 -L 10 -n /tmp/x -P/run/x.pid -t 2.5 -T 0 --config=/etc/x --config /etc/y");
        assert!(all.backend && all.client && all.caseless && all.old_only && all.daemonize && all.esi);
        assert_eq!((all.grouping, all.limit, all.max_transactions), (Some(Grouping::Request), Some(3), Some(10)));
        assert_eq!(all.instance.as_deref(), Some(OsStr::new("/tmp/x")));
        assert_eq!(all.pid_file, Some("/run/x.pid".into()));
        assert_eq!(all.patience, Some(Patience::Limited(Duration::from_millis(2500))));
        assert_eq!(all.transaction_timeout, Some(Duration::ZERO));
        assert_eq!(all.config, Some("/etc/y".into()));
        assert_eq!(options("-t OFF").patience, Some(Patience::Endless));
        assert_eq!(options("-q a -qb").query.as_deref(), Some("a\nb"));
        assert_eq!(options("-r - --stdout").file, Some("-".into()));
        assert!(options("-E").client);
        assert_eq!(options(""), Options::default());
        assert_eq!(parsed("-b -h -x"), Ok(Command::Help));
        assert_eq!(parsed("-V"), Ok(Command::Version));
    }

    #[test]
    fn what_is_wrong_is_said_in_the_words_of_the_servers_readers() {
        for (line, expected) in [
            ("-x", "invalid option -- 'x'"),
            ("-k", "option requires an argument -- 'k'"),
            ("--config", "option '--config' requires an argument"),
            ("--nonsense", "unrecognized option '--nonsense'"),
            ("nonsense", "unexpected argument 'nonsense'"),
            ("-k 0", "-k: Invalid number '0'"),
            ("-k -1", "-k: Invalid number '-1'"),
            ("-k 1x", "-k: Invalid number '1x'"),
            ("-k 2147483648", "-k: Invalid number '2147483648'"),
            ("-g sassion", "Unknown grouping type: sassion"),
            ("-g r", "Ambiguous grouping type: r"),
            ("-L x", "-L: Syntax error"),
            ("-L 0", "-L: Range error, must be between 1 and 100000"),
            ("-L 100001", "-L: Range error, must be between 1 and 100000"),
            ("-T x", "-T: Syntax error"),
            ("-T 1e3", "-T: Syntax error"),
            ("-T -1", "-T: Range error"),
            ("-t x", "-t: Invalid argument: x"),
            ("-t -1", "-t: Invalid argument: -1"),
            ("-t inf", "-t: Invalid argument: inf"),
            ("-n a -r b", "Only one of -n and -r options may be used"),
            ("-D -r -", "Daemon cannot read from stdin"),
            ("-D --stdout", "Daemon cannot write to stdout"),
        ] {
            assert_eq!(parsed(line), Err(expected.to_owned()), "{line}");
        }
        let no_text = <OsString as std::os::unix::ffi::OsStringExt>::from_vec(vec![0xff]);
        assert!(parse(["-q".into(), no_text]).unwrap_err().starts_with("-q: not a text"));
    }
}
