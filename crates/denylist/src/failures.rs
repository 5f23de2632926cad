// SPDX-License-Identifier: BSD-2-Clause
//! What of all that may come of a fetch counts as a failure, in the words of whoever configures it.

use std::fmt;

/// How a fetch came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// With a response.
    Status(u32),
    /// Without.
    Fault(Fault),
}

/// Why a fetch has no response.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// There was no connection.
    Connect,
    /// The connection was silent for too long.
    Timeout,
    /// The connection ended early.
    Reset,
    /// The connection ended while the request's body was being sent. A slow or too large one makes backends do that.
    Upload,
    /// Anything else that the backend did.
    Other,
}

/// The outcomes that count as failures.
#[derive(Clone, Debug, Default)]
pub struct Failures {
    /// First and last of each range.
    statuses: Vec<(u32, u32)>,
    faults: Vec<Fault>,
    every_fault: bool,
}

/// A word that means nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownWord(pub String);

impl fmt::Display for UnknownWord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "has words like 5xx, 503, 500-504, connect, timeout, reset and error, got {:?}", self.0)
    }
}

impl Failures {
    /// Reads words between commas: classes of statuses (`5xx`), single ones (`503`), ranges (`500-504`) and kinds of faults (`connect`,
    /// `timeout`, `reset`, `upload`, `error` for every one but `upload`). Blanks around a word mean nothing, and no word at all counts nothing.
    pub fn parse(words: &str) -> Result<Failures, UnknownWord> {
        let mut failures = Failures::default();
        for word in words.split(',').map(str::trim).filter(|word| !word.is_empty()) {
            match word {
                "connect" => failures.faults.push(Fault::Connect),
                "timeout" => failures.faults.push(Fault::Timeout),
                "reset" => failures.faults.push(Fault::Reset),
                "upload" => failures.faults.push(Fault::Upload),
                "error" => failures.every_fault = true,
                _ => failures.statuses.push(statuses(word).ok_or_else(|| UnknownWord(word.to_owned()))?),
            }
        }
        Ok(failures)
    }

    /// Whether nothing counts.
    pub fn is_empty(&self) -> bool {
        self.statuses.is_empty() && self.faults.is_empty() && !self.every_fault
    }

    /// Whether this outcome is a failure.
    pub fn count(&self, outcome: Outcome) -> bool {
        match outcome {
            Outcome::Status(status) => self.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status)),
            Outcome::Fault(fault) => (self.every_fault && fault != Fault::Upload) || self.faults.contains(&fault),
        }
    }
}

fn statuses(word: &str) -> Option<(u32, u32)> {
    let three_digits = |word: &str| match word.len() == 3 && word.bytes().all(|digit| digit.is_ascii_digit()) {
        true => word.parse::<u32>().ok().filter(|status| (100..=999).contains(status)),
        false => None,
    };
    if let Some(class) = word.strip_suffix("xx") {
        let class = class.parse::<u32>().ok().filter(|number| (1..=9).contains(number) && class.len() == 1)?;
        return Some((class * 100, class * 100 + 99));
    }
    let (first, last) = word.split_once('-').unwrap_or((word, word));
    let (first, last) = (three_digits(first)?, three_digits(last)?);
    (first <= last).then_some((first, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counted(words: &str, statuses: &[u32]) -> Vec<u32> {
        let failures = Failures::parse(words).unwrap_or_default();
        statuses.iter().copied().filter(|status| failures.count(Outcome::Status(*status))).collect()
    }

    #[test]
    fn classes_statuses_and_ranges_count_what_they_name() {
        let all = [0, 199, 200, 399, 400, 404, 429, 499, 500, 502, 503, 504, 599, 600, 999];
        for (words, expected) in [
            ("", &[][..]),
            (" , ,", &[]),
            ("5xx", &[500, 502, 503, 504, 599]),
            ("503", &[503]),
            ("429, 5xx", &[429, 500, 502, 503, 504, 599]),
            ("502-504", &[502, 503, 504]),
            ("503-503", &[503]),
            ("9xx", &[999]),
            ("connect,timeout,reset,error", &[]),
        ] {
            assert_eq!(counted(words, &all), expected, "{words}");
        }
    }

    #[test]
    fn faults_count_by_their_kind_and_error_means_all_but_upload() {
        const ALL: [Fault; 5] = [Fault::Connect, Fault::Timeout, Fault::Reset, Fault::Other, Fault::Upload];
        for (words, expected) in [
            ("5xx", &[][..]),
            ("connect", &[Fault::Connect]),
            ("5xx, connect,timeout", &[Fault::Connect, Fault::Timeout]),
            ("reset", &[Fault::Reset]),
            ("upload", &[Fault::Upload]),
            ("error", &ALL[..4]),
            ("error, upload", &ALL),
        ] {
            let failures = Failures::parse(words).unwrap_or_default();
            let counted: Vec<_> = ALL.into_iter().filter(|fault| failures.count(Outcome::Fault(*fault))).collect();
            assert_eq!(counted, expected, "{words}");
            assert!(!failures.is_empty());
        }
        assert!(Failures::parse(" ,").is_ok_and(|none| none.is_empty()));
    }

    #[test]
    fn an_unknown_word_is_named() {
        for word in
            ["5XX", "0xx", "55xx", "xx", "99", "1000", "504-500", "500-", "-", "+50", "refused", "5xx;503", "50\u{e9}"]
        {
            let words = format!("connect, {word} ,4xx");
            assert_eq!(Failures::parse(&words).err(), Some(UnknownWord(word.to_owned())), "{word}");
        }
    }
}
