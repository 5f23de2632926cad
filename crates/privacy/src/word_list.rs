// SPDX-License-Identifier: BSD-2-Clause
//! A short list of words, of which most of what is asked for is none: the first letter tells.

/// At most 64 words, lower case, of less than 32 letters.
pub(crate) struct WordList<const N: usize> {
    words: [&'static str; N],
    /// By a letter, the words that begin with it, a bit for each.
    first: [u64; 256],
    /// By a length, the words that have it.
    lengths: [u64; 32],
}

impl<const N: usize> WordList<N> {
    pub(crate) const fn new(words: [&'static str; N]) -> WordList<N> {
        assert!(N <= 64);
        let (mut first, mut lengths) = ([0; 256], [0; 32]);
        let mut at = 0;
        while at < N {
            let letter = words[at].as_bytes()[0];
            first[letter as usize] |= 1 << at;
            first[letter.to_ascii_uppercase() as usize] |= if letter.is_ascii_lowercase() { 1 << at } else { 0 };
            lengths[words[at].len()] |= 1 << at;
            at += 1;
        }
        WordList { words, first, lengths }
    }

    /// The place of `word`, whatever its case.
    pub(crate) fn place(&self, word: &[u8]) -> Option<usize> {
        let mut possible = self.first[usize::from(*word.first()?)] & self.lengths.get(word.len())?;
        while possible != 0 {
            let place = possible.trailing_zeros() as usize;
            if self.words.get(place).is_some_and(|known| known.as_bytes().eq_ignore_ascii_case(word)) {
                return Some(place);
            }
            possible &= possible - 1;
        }
        None
    }

    #[cfg(test)]
    pub(crate) fn words(&self) -> &[&'static str] {
        &self.words
    }

    pub(crate) fn has(&self, word: &[u8]) -> bool {
        self.place(word).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_found_in_any_case_and_its_begin_is_none() {
        static LIST: WordList<3> = WordList::new(["bearer", "basic", "-t"]);
        assert_eq!(
            ["BASIC", "bearer", "-T", "bear", "basics", ""].map(|word| LIST.place(word.as_bytes())),
            [Some(1), Some(0), Some(2), None, None, None]
        );
        assert!(!LIST.has(&[b'b'; 100]));
    }
}
