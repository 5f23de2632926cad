// SPDX-License-Identifier: BSD-2-Clause
//! The pairs of a URL: what stands behind its path.

use crate::syntax::ends_pair;

/// `name=value`, or a value alone.
pub struct Pair<'a> {
    pub name: Option<&'a [u8]>,
    pub value: &'a [u8],
    pub value_at: usize,
}

/// A walk over the pairs of a URL.
pub struct Pairs<'a> {
    text: &'a [u8],
    at: usize,
}

impl<'a> Pairs<'a> {
    pub fn of(text: &'a [u8]) -> Pairs<'a> {
        // A path is no pair, even with a '=' in it.
        let at = text.iter().position(|byte| ends_pair(*byte)).unwrap_or(text.len());
        Pairs { text, at }
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Pair<'a>;

    fn next(&mut self) -> Option<Pair<'a>> {
        let rest = self.text.get(self.at..)?;
        let start = self.at + rest.iter().position(|byte| !ends_pair(*byte))?;
        let rest = self.text.get(start..)?;
        let len = rest.iter().position(|byte| ends_pair(*byte)).unwrap_or(rest.len());
        let piece = rest.get(..len)?;
        self.at = start + len;
        Some(match piece.iter().position(|byte| *byte == b'=').and_then(|at| piece.split_at_checked(at)) {
            Some((name, value)) => {
                Pair { name: Some(name), value: value.get(1..).unwrap_or_default(), value_at: start + name.len() + 1 }
            }
            None => Pair { name: None, value: piece, value_at: start },
        })
    }
}
