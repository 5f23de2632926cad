// SPDX-License-Identifier: BSD-2-Clause
//! The table's words in a name, found in one pass and without a copy of it.

use crate::names::table::{Find, HARMLESS_WORDS, ROWS, What};
use crate::word_list::WordList;

/// Words that are found anywhere.
const COUNT: usize = {
    let (mut count, mut row) = (0, 0);
    while row < ROWS.len() {
        if matches!(ROWS[row].find, Find::Anywhere) {
            count += 1;
        }
        row += 1;
    }
    assert!(count <= 64);
    count
};

/// Their rows.
static WORDS: [(&[u8], u8); COUNT] = {
    let mut words: [(&[u8], u8); COUNT] = [(b"", 0); COUNT];
    let (mut word, mut row) = (0, 0);
    while row < ROWS.len() {
        if matches!(ROWS[row].find, Find::Anywhere) {
            words[word] = (ROWS[row].word.as_bytes(), bit(ROWS[row].what));
            word += 1;
        }
        row += 1;
    }
    words
};

/// By a byte of a name, the words that it may be the first of, a bit for each; the second, and the third: no word is shorter.
static FIRST: [u64; 256] = words_with(0);
static SECOND: [u64; 256] = words_with(1);
static THIRD: [u64; 256] = words_with(2);
/// The rows of one kind: their words and what they speak of.
macro_rules! rows_of {
    ($find:pat) => {{
        const COUNT: usize = {
            let (mut count, mut row) = (0, 0);
            while row < ROWS.len() {
                count += if matches!(ROWS[row].find, $find) { 1 } else { 0 };
                row += 1;
            }
            count
        };
        let mut rows: ([&'static str; COUNT], [u8; COUNT]) = ([""; COUNT], [0; COUNT]);
        let (mut at, mut row) = (0, 0);
        while row < ROWS.len() {
            if matches!(ROWS[row].find, $find) {
                (rows.0[at], rows.1[at]) = (ROWS[row].word, bit(ROWS[row].what));
                at += 1;
            }
            row += 1;
        }
        rows
    }};
}

const LABEL_COUNT: usize = LABEL_ROWS.0.len();
const LABEL_ROWS: ([&str; 24], [u8; 24]) = rows_of!(Find::Label);
static LABELS: WordList<LABEL_COUNT> = WordList::new(LABEL_ROWS.0);
/// Whether a label of the table begins with the byte.
static LABEL: [bool; 256] = {
    let mut set = [false; 256];
    let mut row = 0;
    while row < LABEL_COUNT {
        let first = LABEL_ROWS.0[row].as_bytes()[0];
        set[first as usize] = true;
        set[first.to_ascii_uppercase() as usize] = true;
        row += 1;
    }
    set
};
static HARMLESS: WordList<{ HARMLESS_WORDS.len() }> = WordList::new(HARMLESS_WORDS);
/// Bytes of the longest label.
const MAX_LABEL: usize = 9;
/// A cookie of this many hex digits is named by a hash: Joomla's session.
const HASH: usize = 32;

const fn bit(what: What) -> u8 {
    match what {
        What::Secret => 1,
        What::Person => 2,
        What::Route => 4,
    }
}

const fn words_with(place: usize) -> [u64; 256] {
    let mut words = [0; 256];
    let mut byte = 0;
    while byte < words.len() {
        let mut word = 0;
        while word < WORDS.len() {
            if WORDS[word].0[place] == folded(byte as u8) {
                words[byte] |= 1 << word;
            }
            word += 1;
        }
        byte += 1;
    }
    words
}

const fn folded(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// What a name speaks of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found(u8);

impl Found {
    pub(crate) fn is_secret(self) -> bool {
        self.0 & bit(What::Secret) != 0
    }

    /// Whether it points at a person, be it by an address.
    pub(crate) fn is_personal(self) -> bool {
        self.0 & !bit(What::Secret) != 0
    }

    /// Whether only the addresses in its value tell anything.
    pub(crate) fn is_route(self) -> bool {
        self.0 == bit(What::Route)
    }
}

/// What `name` speaks of.
pub(crate) fn of(name: &[u8]) -> Found {
    let (mut found, mut first, mut pair) = (0, 0_u64, 0_u64);
    for (at, byte) in name.iter().enumerate() {
        let place = usize::from(*byte);
        if LABEL[place] {
            found |= label(name, at);
        }
        let mut possible = pair & THIRD[place];
        pair = first & SECOND[place];
        first = FIRST[place];
        while possible != 0 {
            let word = WORDS.get(possible.trailing_zeros() as usize);
            let start = at - 2;
            let rest = name.get(start..).unwrap_or_default();
            if let Some((_, what)) = word.filter(|(word, _)| starts_with(rest, word))
                && !is_harmless(name, start)
            {
                found |= what;
                if found & bit(What::Secret) != 0 {
                    return Found(found);
                }
            }
            possible &= possible - 1;
        }
    }
    Found(found)
}

/// As [`of`], of a cookie.
pub(crate) fn of_cookie(name: &[u8]) -> Found {
    let Found(mut found) = of(name);
    if found & bit(What::Secret) != 0 {
        return Found(found);
    }
    for row in ROWS.iter().filter(|row| matches!(row.find, Find::Begin | Find::Whole)) {
        let is_it = starts_with(name, row.word.as_bytes());
        if is_it && (row.find == Find::Begin || name.len() == row.word.len()) {
            found |= bit(row.what);
        }
    }
    if name.len() == HASH && name.iter().all(u8::is_ascii_hexdigit) {
        found |= bit(What::Secret);
    }
    Found(found)
}

/// Whether the letters around `at` are a word that only looks like one of the table.
fn is_harmless(name: &[u8], at: usize) -> bool {
    let (before, behind) = name.split_at_checked(at).unwrap_or_default();
    let longest = 16;
    let start = at - before.iter().rev().take(longest).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let end = at + behind.iter().take(longest).take_while(|byte| byte.is_ascii_alphabetic()).count();
    let word = name.get(start..end).unwrap_or_default();
    HARMLESS.has(word)
}

/// What the label that begins at `at` speaks of, if it does begin there.
fn label(name: &[u8], at: usize) -> u8 {
    let before = at.checked_sub(1).and_then(|at| name.get(at)).copied().unwrap_or(b'-');
    let rest = name.get(at..).unwrap_or_default();
    let Some(first) = rest.first() else { return 0 };
    if before.is_ascii_alphabetic() && !(before.is_ascii_lowercase() && first.is_ascii_uppercase()) {
        return 0;
    }
    let is_upper = rest.get(1).is_some_and(u8::is_ascii_uppercase);
    let is_part = |(place, byte): (usize, &u8)| {
        byte.is_ascii_alphabetic() && (place == 0 || is_upper || byte.is_ascii_lowercase())
    };
    let len = rest.iter().enumerate().take(MAX_LABEL + 1).take_while(|part| is_part(*part)).count();
    let place = LABELS.place(rest.get(..len).unwrap_or_default());
    place.and_then(|place| LABEL_ROWS.1.get(place)).copied().unwrap_or_default()
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len() && text.iter().zip(word).all(|(byte, expected)| folded(*byte) == *expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_where_its_row_says() {
        for row in ROWS {
            let word = row.word;
            let names = match row.find {
                Find::Anywhere => {
                    vec![word.to_owned(), format!("x{}", word.to_uppercase()), format!("qq{word}qq").replace('-', "_")]
                }
                Find::Label => vec![word.to_owned(), format!("x_{}1", word.to_uppercase()), format!("my-{word}[a]")],
                Find::Begin => vec![word.to_owned(), format!("{}x", word.to_uppercase()).replace('-', "_")],
                Find::Whole => vec![word.to_owned()],
            };
            for name in names {
                let found = of_cookie(name.as_bytes());
                assert_eq!((found.0 & bit(row.what)), bit(row.what), "{name}");
            }
        }
        assert!(of(b"userPass").is_secret() && of(b"X-SIG").is_secret() && of(b"pass2").is_secret());
        assert!(of_cookie(b"0123456789abcdef0123456789abcdef").is_secret());
    }

    #[test]
    fn words_that_only_look_like_one_are_left_alone() {
        for name in [
            "design",
            "passenger",
            "keyword",
            "keywords",
            "monkey",
            "author",
            "authors[0]",
            "tokenizer",
            "compass",
            "spin",
            "pink",
            "opinion",
            "hmacx",
            "sigma",
            "assign",
            "significant",
            "bypass",
            "passage",
            "X-Client-Side",
            "lesson_id",
            "processor",
            "association",
            "president",
            "sort",
            "page",
            "lang",
            "state",
            "code",
            "q",
            "Accept-Encoding",
            "Content-Type",
            "If-None-Match",
            "pinterest",
            "tandem",
            "option",
            "q_author",
            "Monkey-2",
        ] {
            assert_eq!(of(name.as_bytes()), Found(0), "{name}");
        }
        assert!(of(b"monkeyToken").is_secret() && of(b"author_key").is_secret());
    }
}
