// SPDX-License-Identifier: BSD-2-Clause
//! A short list of words, of which most of what is asked for is none: length, first and last letter tell.

/// At most 64 words, lower case, of less than 32 letters.
pub(crate) struct WordList<const N: usize> {
    words: [&'static str; N],
    /// By a byte, the words that begin with it, a bit for each.
    first: [u64; 256],
    /// As above, the words that end with it.
    last: [u64; 256],
    /// By a length, the words that have it.
    lengths: [u64; 32],
}

impl<const N: usize> WordList<N> {
    pub(crate) const fn new(words: [&'static str; N]) -> WordList<N> {
        assert!(N <= 64);
        let (mut first, mut last, mut lengths) = ([0; 256], [0; 256], [0; 32]);
        let mut at = 0;
        while at < N {
            let word = words[at].as_bytes();
            let (begin, end) = (word[0], word[word.len() - 1]);
            first[begin as usize] |= 1 << at;
            first[begin.to_ascii_uppercase() as usize] |= 1 << at;
            last[end as usize] |= 1 << at;
            last[end.to_ascii_uppercase() as usize] |= 1 << at;
            lengths[word.len()] |= 1 << at;
            at += 1;
        }
        WordList { words, first, last, lengths }
    }

    /// The place of `word`, whatever its case.
    pub(crate) fn place(&self, word: &[u8]) -> Option<usize> {
        let ends = self.first[usize::from(*word.first()?)] & self.last[usize::from(*word.last()?)];
        let mut possible = ends & self.lengths.get(word.len())?;
        while possible != 0 {
            let place = possible.trailing_zeros() as usize;
            if self.words.get(place).is_some_and(|known| known.as_bytes().eq_ignore_ascii_case(word)) {
                return Some(place);
            }
            possible &= possible - 1;
        }
        None
    }

    pub(crate) const fn words(&self) -> &[&'static str] {
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
