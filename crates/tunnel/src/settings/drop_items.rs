// SPDX-License-Identifier: BSD-2-Clause
//! Types of items that are not passed on: `replay_event, profile`.

use std::fmt;

use crate::envelope::Kind;

/// Those types, by their words on the wire. Whoever drops one piece of replays drops all of them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct DropItems {
    words: Vec<String>,
    replays: bool,
}

/// A word that no type can have. Reads well after `sentry.tunnel(): `.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoType(String);

impl fmt::Display for NoType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "drop_items must be types of items like \"replay_event, profile\", got {:?}", self.0)
    }
}

impl std::error::Error for NoType {}

impl DropItems {
    /// Reads words between commas and white space. Types that are not known here may be named.
    pub fn parse(text: &str) -> Result<DropItems, NoType> {
        let mut items = DropItems::default();
        for word in text.split(|c: char| c == ',' || c.is_whitespace()).filter(|word| !word.is_empty()) {
            if !word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_') {
                return Err(NoType(word.to_owned()));
            }
            items.replays |= Kind::of(word).is_replay();
            items.words.push(word.to_owned());
        }
        Ok(items)
    }

    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// Whether an item of that type, which is `kind`, is dropped.
    pub fn has(&self, kind: Kind, word: &str) -> bool {
        self.replays && kind.is_replay() || self.words.iter().any(|known| known == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_dropped_by_their_word_and_replays_whole() {
        let items = DropItems::parse(" replay_event,profile\nbrand_new ").unwrap();
        let has = |word| items.has(Kind::of(word), word);
        assert_eq!(["replay_recording", "replay_video", "profile", "brand_new"].map(has), [true; 4]);
        assert_eq!(["event", "profile_chunk", "other"].map(has), [false; 3]);
        assert!(DropItems::parse("").unwrap().is_empty());
        let told = "drop_items must be types of items like \"replay_event, profile\", got \"replay-event\"";
        assert!(DropItems::parse("event;session").is_err());
        assert_eq!(DropItems::parse("event, replay-event").map_err(|error| error.to_string()), Err(told.to_owned()));
    }
}
