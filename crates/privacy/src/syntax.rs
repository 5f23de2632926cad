// SPDX-License-Identifier: BSD-2-Clause
//! Where in a text a URL, its authority, and a pair end.

/// How often a value is percent-decoded to look into it: a login page's return address is encoded once,
/// twice when it passed another login page. What is encoded deeper is hidden unread.
pub(crate) const MAX_DEPTH: usize = 3;

/// How a text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A URL and nothing else: pairs stand behind the path.
    Url,
    /// Any text, in which URLs and pairs may stand.
    Text,
}

static ENDS_PAIR: [bool; 256] = set_of(b"?#&;");

/// A set of bytes: every byte of every event asks.
pub(crate) const fn set_of(members: &[u8]) -> [bool; 256] {
    let mut set = [false; 256];
    let mut at = 0;
    while at < members.len() {
        set[members[at] as usize] = true;
        at += 1;
    }
    set
}

/// Whether `byte` ends a pair of a URL.
pub(crate) fn ends_pair(byte: u8) -> bool {
    ENDS_PAIR[usize::from(byte)]
}

impl Form {
    /// Where the next authority starts. A path may have two slashes in a row, so in a URL only those behind
    /// a scheme count.
    pub(crate) fn next_authority(self, text: &[u8], from: usize) -> Option<usize> {
        let mark: &[u8] = if self == Form::Url { b"://" } else { b"//" };
        let found = text.get(from..)?.windows(mark.len()).position(|window| window == mark)?;
        Some(from + found + mark.len())
    }

    /// Whether `byte` ends the authority of a URL.
    pub(crate) fn ends_authority(self, byte: u8) -> bool {
        b"/\\?#".contains(&byte) || self == Form::Text && (b"\"<>".contains(&byte) || byte.is_ascii_whitespace())
    }
}
