// SPDX-License-Identifier: BSD-2-Clause
//! Which turns in the life of the cache are events.

use std::fmt;

/// What a client reports by itself; nothing by default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Lifecycle {
    /// A VCL loaded into a running child, and one discarded.
    pub vcl: bool,
    /// A child that starts.
    pub start: bool,
    /// A child that ended before this one without having been told to.
    pub death: bool,
}

/// A word that names no turn. Reads well after `sentry.lifecycle(): `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownTurn(String);

impl fmt::Display for UnknownTurn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "events must be of the words vcl, start and death, got {:?}", self.0)
    }
}

impl std::error::Error for UnknownTurn {}

impl Lifecycle {
    /// Reads the words of `text`, with commas or white space between them.
    pub fn parse(text: &str) -> Result<Lifecycle, UnknownTurn> {
        let mut lifecycle = Lifecycle::default();
        let words = text.split(|c: char| c == ',' || c.is_ascii_whitespace());
        for word in words.filter(|word| !word.is_empty()) {
            match word {
                "vcl" => lifecycle.vcl = true,
                "start" => lifecycle.start = true,
                "death" => lifecycle.death = true,
                _ => return Err(UnknownTurn(word.to_owned())),
            }
        }
        Ok(lifecycle)
    }

    /// Whether anything is reported.
    pub fn is_any(self) -> bool {
        self.vcl || self.start || self.death
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_come_in_any_order_and_with_any_separator() {
        let of = |vcl, start, death| Ok(Lifecycle { vcl, start, death });
        assert_eq!(Lifecycle::parse(""), of(false, false, false));
        assert_eq!(Lifecycle::parse("vcl"), of(true, false, false));
        assert_eq!(Lifecycle::parse(" death,start "), of(false, true, true));
        assert_eq!(Lifecycle::parse("vcl, start, death, vcl"), of(true, true, true));
        let refused = Lifecycle::parse("vcl, restart").map_err(|error| error.to_string());
        assert_eq!(refused, Err("events must be of the words vcl, start and death, got \"restart\"".to_owned()));
    }

    #[test]
    fn nothing_is_reported_unless_asked_for() {
        assert!(!Lifecycle::default().is_any());
        for word in ["vcl", "start", "death"] {
            assert!(Lifecycle::parse(word).is_ok_and(Lifecycle::is_any), "{word}");
        }
    }
}
