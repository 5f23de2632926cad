// SPDX-License-Identifier: BSD-2-Clause
//! Records `Backend_health`: a backend's probe that has changed its mind.

use crate::log::reading::{backend_name, word};

/// A backend that went sick, or healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Turn<'r> {
    /// Without the VCL that it is of.
    pub backend: &'r [u8],
    pub is_sick: bool,
}

impl<'r> Turn<'r> {
    /// Reads `name Went sick flags good threshold window …`; `None` if nothing changed.
    pub fn parse(text: &'r [u8]) -> Option<Turn<'r>> {
        let is_sick = match (word(text, 1), word(text, 2)) {
            (b"Went", b"sick") => true,
            (b"Went", b"healthy") => false,
            _ => return None,
        };
        Some(Turn { backend: backend_name(word(text, 0)), is_sick })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_turn_is_told() {
        for (text, turn) in [
            (
                "boot.b Went sick -------- 2 3 8 0.0 0.0 \"Open error 111 (Connection refused)\"",
                Some((&b"b"[..], true)),
            ),
            ("b Went healthy 4---X-RH 3 3 8 0.0 0.0 \"HTTP/1.1 200 OK\"", Some((b"b", false))),
            ("b Still sick -------- 1 3 8 0.0 0.0 \"\"", None),
            ("b Still healthy", None),
            ("b Went", None),
            ("", None),
        ] {
            let turn = turn.map(|(backend, is_sick)| Turn { backend, is_sick });
            assert_eq!(Turn::parse(text.as_bytes()), turn, "{text}");
        }
    }
}
