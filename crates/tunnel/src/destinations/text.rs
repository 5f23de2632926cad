// SPDX-License-Identifier: BSD-2-Clause
//! Lists of DSNs as texts: an argument's, and a file's, which may come from somebody else's database and is read line by line.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use protocol::dsn::{Dsn, DsnError};

use super::sdk;

/// DSNs of a file, at most.
const MAX_DSNS: usize = 50_000;
/// Bad lines that are told.
const MAX_TOLD: usize = 20;

/// A DSN that was named.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Source {
    pub dsn: Dsn,
    /// As the JavaScript SDK names it.
    pub sdk_dsn: Arc<str>,
}

impl Source {
    fn parse(text: &str) -> Result<Source, DsnError> {
        Ok(Source { dsn: Dsn::parse(text)?, sdk_dsn: sdk::dsn(text).into() })
    }

    /// What a client names it by, whatever host it says.
    fn name(&self) -> (&str, &str) {
        (self.dsn.public_key(), self.dsn.project())
    }
}

/// A DSN of an argument that cannot be had. It shows as `number 2 of dsns: dsn has no key, …`, never with what is in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BadDsn {
    NoDsn {
        /// From 1 on.
        number: usize,
        error: DsnError,
    },
    /// It has key and project of an earlier one, at another host.
    Again { number: usize },
}

impl fmt::Display for BadDsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            BadDsn::NoDsn { number, error } => write!(f, "number {number} of dsns: {error}"),
            BadDsn::Again { number } => write!(f, "number {number} of dsns: {AGAIN}"),
        }
    }
}

impl std::error::Error for BadDsn {}

const AGAIN: &str = "dsn has key and project of an earlier one";

/// Reads DSNs between commas and white space. One that is there twice is there once.
pub fn read_argument(text: &str) -> Result<Vec<Source>, BadDsn> {
    let mut sources: Vec<Source> = Vec::new();
    let words = text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty());
    for (place, word) in words.enumerate() {
        let number = place + 1;
        let source = Source::parse(word).map_err(|error| BadDsn::NoDsn { number, error })?;
        match sources.iter().find(|known| known.name() == source.name()) {
            None => sources.push(source),
            Some(known) if known.dsn == source.dsn => {}
            Some(_) => return Err(BadDsn::Again { number }),
        }
    }
    Ok(sources)
}

/// A line of a file that is skipped, and why. It shows as `line 3: dsn has no project id, …`, never with what is in the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadLine {
    /// From 1 on.
    pub number: usize,
    why: String,
}

impl fmt::Display for BadLine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.number, self.why)
    }
}

/// Reads a file's DSNs, one a line; what is behind a `#` is a comment. Bad lines are skipped, and the first ones told.
pub fn read_file(text: &[u8]) -> (Vec<Source>, Vec<BadLine>) {
    let (mut sources, mut bad): (Vec<Source>, Vec<BadLine>) = (Vec::new(), Vec::new());
    let mut known: HashMap<(String, String), usize> = HashMap::new();
    let text = text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text);
    for (place, line) in text.split(|byte| *byte == b'\n').enumerate() {
        let line = line.split(|byte| *byte == b'#').next().unwrap_or_default().trim_ascii();
        if line.is_empty() {
            continue;
        }
        if sources.len() == MAX_DSNS {
            bad.truncate(MAX_TOLD - 1);
            bad.push(BadLine { number: place + 1, why: format!("more than {MAX_DSNS} dsns, the rest is skipped") });
            break;
        }
        let why = match Source::parse(&String::from_utf8_lossy(line)) {
            Err(error) => error.to_string(),
            Ok(source) => {
                let (key, project) = source.name();
                let place = known.entry((key.to_owned(), project.to_owned())).or_insert(sources.len());
                match sources.get(*place) {
                    None => {
                        sources.push(source);
                        continue;
                    }
                    Some(earlier) if earlier.dsn == source.dsn => continue,
                    Some(_) => AGAIN.to_owned(),
                }
            }
        };
        if bad.len() < MAX_TOLD {
            bad.push(BadLine { number: place + 1, why });
        }
    }
    (sources, bad)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(sources: &[Source]) -> Vec<String> {
        sources.iter().map(|source| source.dsn.to_string()).collect()
    }

    #[test]
    fn an_argument_has_them_between_commas_and_white_space() {
        let text = " https://a@h/1,https://b@h/2 \n\thttp://c@h:81/3,, https://a@h/1 ";
        assert_eq!(shown(&read_argument(text).unwrap()), ["h/1", "h/2", "h:81/3"]);
        assert_eq!(read_argument(" , "), Ok(Vec::new()));
        for (text, error) in [
            (
                "https://a@h/1, https://secret@h",
                "number 2 of dsns: dsn has no project id, expected https://<key>@<host>/<id>",
            ),
            ("https://a@h/1 https://a@other/1", "number 2 of dsns: dsn has key and project of an earlier one"),
        ] {
            assert_eq!(read_argument(text).map_err(|error| error.to_string()), Err(error.to_owned()));
        }
    }

    #[test]
    fn a_file_has_one_a_line_and_bad_ones_are_told_without_what_is_in_them() {
        let text = b"\xef\xbb\xbf# keys \xff of the shop\n\nhttps://a@h/1\r\n  https://b@h/2 # checkout\nhttps://hunter2@h\nhttps://a@h/1\nhttps://a@other/1\nhttp\xff://a@h/3\nhttps://a@h/3";
        let (sources, bad) = read_file(text);
        assert_eq!(shown(&sources), ["h/1", "h/2", "h/3"]);
        let told: Vec<_> = bad.iter().map(BadLine::to_string).collect();
        assert_eq!(
            told,
            [
                "line 5: dsn has no project id, expected https://<key>@<host>/<id>",
                "line 7: dsn has key and project of an earlier one",
                "line 8: dsn does not start with http:// or https://, expected https://<key>@<host>/<id>",
            ]
        );
    }

    #[test]
    fn a_file_without_end_has_its_bounds() {
        let many: String = (0..=MAX_DSNS).map(|number| format!("bad\nhttps://k@h/{number}\n")).collect();
        let (sources, bad) = read_file(many.as_bytes());
        assert_eq!((sources.len(), bad.len()), (MAX_DSNS, MAX_TOLD));
        let last = bad.last().map(BadLine::to_string);
        assert_eq!(last, Some(format!("line {}: more than {MAX_DSNS} dsns, the rest is skipped", 2 * MAX_DSNS + 1)));
    }
}
