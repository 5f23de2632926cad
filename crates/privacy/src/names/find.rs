// SPDX-License-Identifier: BSD-2-Clause
//! The table's words in a name, found in one pass and without a copy of it.

use crate::names::table::{Find, HARMLESS_WORDS, ROWS, What};
use crate::word_list::WordList;

/// Words of the table, with a bit for what they speak of.
type Words<const N: usize> = [(&'static [u8], u8); N];
/// By a byte of a name, the words that it may belong to, a bit for each.
type Places = [u64; 256];

static ANYWHERE: Words<{ count(&[Find::Anywhere]) }> = words(&[Find::Anywhere]);
/// As the first byte of one, the second and the third: no word is shorter.
static FIRST: Places = places(&ANYWHERE, 0);
static SECOND: Places = places(&ANYWHERE, 1);
static THIRD: Places = places(&ANYWHERE, 2);
/// The first three bytes of each, by a hash: most of what is asked for is not there.
static BEGINS: [u64; 64] = {
    let (mut set, mut word) = ([0; 64], 0);
    while word < ANYWHERE.len() {
        let (begin, _) = ANYWHERE[word].0.split_at(3);
        let hash = hash((begin[0] as u32) << 16 | (begin[1] as u32) << 8 | begin[2] as u32);
        set[hash / 64] |= 1 << (hash % 64);
        word += 1;
    }
    set
};

static LABELS: Words<{ count(&[Find::Label]) }> = words(&[Find::Label]);
static FIRST_OF_LABEL: Places = places(&LABELS, 0);
static SECOND_OF_LABEL: Places = places(&LABELS, 1);
/// Whether a byte is a letter, and which kind of one.
static LETTER: [u8; 256] = {
    let mut set = [OTHER; 256];
    let mut letter = b'a';
    while letter <= b'z' {
        set[letter as usize] = SMALL;
        set[letter.to_ascii_uppercase() as usize] = CAPITAL;
        letter += 1;
    }
    set
};
const OTHER: u8 = 0;
const CAPITAL: u8 = 1;
const SMALL: u8 = 2;
static FOLDED: [u8; 256] = {
    let mut all = [0; 256];
    let mut byte = 0;
    while byte < all.len() {
        all[byte] = folded(byte as u8);
        byte += 1;
    }
    all
};

static COOKIES: Words<{ count(&[Find::Begin, Find::Whole]) }> = words(&[Find::Begin, Find::Whole]);
static FIRST_OF_COOKIE: Places = places(&COOKIES, 0);
static WHOLE: Words<{ count(&[Find::Whole]) }> = words(&[Find::Whole]);
static HARMLESS: WordList<{ HARMLESS_WORDS.len() }> = WordList::new(HARMLESS_WORDS);
/// A cookie of this many hex digits is named by a hash: Joomla's session.
const HASH: usize = 32;

const fn is_one_of(find: Find, kinds: &[Find]) -> bool {
    let mut at = 0;
    while at < kinds.len() {
        if find as u8 == kinds[at] as u8 {
            return true;
        }
        at += 1;
    }
    false
}

/// How many words are found in one of these ways.
const fn count(kinds: &[Find]) -> usize {
    let (mut count, mut row) = (0, 0);
    while row < ROWS.len() {
        count += is_one_of(ROWS[row].find, kinds) as usize;
        row += 1;
    }
    count
}

const fn words<const N: usize>(kinds: &[Find]) -> Words<N> {
    assert!(N <= 64);
    let mut words: Words<N> = [(b"", 0); N];
    let (mut at, mut row) = (0, 0);
    while row < ROWS.len() {
        if is_one_of(ROWS[row].find, kinds) {
            words[at] = (ROWS[row].word.as_bytes(), bit(ROWS[row].what));
            at += 1;
        }
        row += 1;
    }
    words
}

const fn places<const N: usize>(words: &Words<N>, place: usize) -> Places {
    let mut places = [0; 256];
    let mut byte = 0;
    while byte < places.len() {
        let mut word = 0;
        while word < N {
            if place < words[word].0.len() && words[word].0[place] == folded(byte as u8) {
                places[byte] |= 1 << word;
            }
            word += 1;
        }
        byte += 1;
    }
    places
}

const fn bit(what: What) -> u8 {
    match what {
        What::Secret => 1,
        What::Person => 2,
        What::Route => 4,
    }
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
    // The last three bytes.
    let mut begin = 0_u32;
    let (mut found, mut before) = (0, OTHER);
    for (at, byte) in name.iter().enumerate() {
        let place = usize::from(*byte);
        begin = (begin << 8 | u32::from(FOLDED[place])) & 0xff_ffff;
        let hash = hash(begin);
        if BEGINS[hash / 64] >> (hash % 64) & 1 != 0 {
            found |= anywhere(name, at.saturating_sub(2));
        }
        let letter = LETTER[place];
        // Behind what is no letter, or a capital one behind another.
        if (before == OTHER || before == SMALL && letter == CAPITAL) && FIRST_OF_LABEL[place] != 0 {
            found |= label(name.get(at..).unwrap_or_default());
        }
        before = letter;
        if found & bit(What::Secret) != 0 {
            break;
        }
    }
    Found(found)
}

/// A number below 4096 for three bytes.
const fn hash(begin: u32) -> usize {
    (begin.wrapping_mul(0x9e37_79b1) >> 20) as usize
}

/// What the words speak of that stand at `start`.
fn anywhere(name: &[u8], start: usize) -> u8 {
    let mut found = 0;
    let rest = name.get(start..).unwrap_or_default();
    let Some([one, two, three]) = rest.first_chunk().map(|begin| begin.map(usize::from)) else { return 0 };
    let mut possible = FIRST[one] & SECOND[two] & THIRD[three];
    while possible != 0 {
        if let Some((word, what)) = ANYWHERE.get(possible.trailing_zeros() as usize)
            && starts_with(rest, word)
            && !is_harmless(name, start)
        {
            found |= what;
        }
        possible &= possible - 1;
    }
    found
}

/// What the label that `rest` begins with speaks of.
fn label(rest: &[u8]) -> u8 {
    let Some([one, two]) = rest.first_chunk().map(|begin| begin.map(usize::from)) else { return 0 };
    let mut possible = FIRST_OF_LABEL[one] & SECOND_OF_LABEL[two];
    while possible != 0 {
        if let Some((word, what)) = LABELS.get(possible.trailing_zeros() as usize)
            && starts_with(rest, word)
        {
            let letter = |at: usize| rest.get(at).map_or(0, |byte| LETTER[usize::from(*byte)]);
            let all_capital = letter(1) == CAPITAL;
            // Up to what is no letter, or to the next capital one.
            let goes_on = |at: usize| letter(at) == SMALL || letter(at) == CAPITAL && all_capital;
            if (1..word.len()).all(goes_on) && !goes_on(word.len()) {
                return *what;
            }
        }
        possible &= possible - 1;
    }
    0
}

/// As [`of`], of a cookie.
pub(crate) fn of_cookie(name: &[u8]) -> Found {
    let Found(mut found) = of(name);
    let mut possible = name.first().map_or(0, |first| FIRST_OF_COOKIE[usize::from(*first)]);
    while possible != 0 {
        if let Some((word, what)) = COOKIES.get(possible.trailing_zeros() as usize)
            && starts_with(name, word)
            && (name.len() == word.len() || !WHOLE.iter().any(|(whole, _)| whole == word))
        {
            found |= what;
        }
        possible &= possible - 1;
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

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len() && text.iter().zip(word).all(|(byte, expected)| FOLDED[usize::from(*byte)] == *expected)
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
