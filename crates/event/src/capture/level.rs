// SPDX-License-Identifier: BSD-2-Clause
//! Sentry's severity levels, the only five its ingestion accepts.

/// How severe an event is; ordered, `Debug` lowest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Level {
    Debug = 0,
    Info = 1,
    Warning = 2,
    Error = 3,
    Fatal = 4,
}

impl Level {
    /// The word on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warning => "warning",
            Level::Error => "error",
            Level::Fatal => "fatal",
        }
    }

    /// The level named `word`, exactly as [`Level::as_str`] spells it; `None` for anything else.
    pub fn from_name(word: &[u8]) -> Option<Level> {
        [Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Fatal]
            .into_iter()
            .find(|level| level.as_str().as_bytes() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_is_found_by_its_own_word_and_no_other_word_is_one() {
        for level in [Level::Debug, Level::Info, Level::Warning, Level::Error, Level::Fatal] {
            assert_eq!(Level::from_name(level.as_str().as_bytes()), Some(level));
        }
        for word in ["", "warn", "ERROR", "notice"] {
            assert_eq!(Level::from_name(word.as_bytes()), None);
        }
    }
}
