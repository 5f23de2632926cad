// SPDX-License-Identifier: BSD-2-Clause
//! The fuzzer's input, read from its begin to its end as numbers, choices and texts. At the end everything is zero or empty,
//! so that every input means something, and one that grows means more of it.

/// What is left of an input.
#[derive(Clone, Copy, Debug)]
pub struct Bytes<'i>(pub &'i [u8]);

impl<'i> Bytes<'i> {
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    pub fn flag(&mut self) -> bool {
        self.byte() & 1 == 1
    }

    pub fn array<const N: usize>(&mut self) -> [u8; N] {
        let mut array = [0; N];
        let taken = self.take(N);
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// One of `choices`.
    pub fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[usize::from(self.byte()) % choices.len()]
    }

    /// So many bytes, or fewer at the end.
    pub fn take(&mut self, count: usize) -> &'i [u8] {
        let (taken, rest) = self.0.split_at(count.min(self.0.len()));
        self.0 = rest;
        taken
    }

    /// A few bytes, or a piece over and over: what is too long for a limit takes little of the input. Long ones are as rare as they are slow.
    pub fn text(&mut self) -> Vec<u8> {
        match self.byte() {
            count @ 0..=223 => self.take(count.into()).to_vec(),
            count => {
                let times = self.byte();
                self.take(usize::from(count - 223)).repeat((1 + usize::from(times % 32)) << (times / 32))
            }
        }
    }

    /// As many characters as the next byte says, at most `most`, of an `alphabet`.
    pub fn word(&mut self, alphabet: &str, most: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        let count = usize::from(self.byte()) % (most + 1);
        self.take(count).iter().map(|byte| alphabet[usize::from(*byte) % alphabet.len()]).collect()
    }

    /// What is left, in lines.
    pub fn lines(self) -> impl Iterator<Item = &'i [u8]> + Clone {
        self.0.split(|byte| *byte == b'\n')
    }
}
