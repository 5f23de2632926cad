// SPDX-License-Identifier: BSD-2-Clause
//! Values that were taken out of named places of an event, to be looked for elsewhere.

use std::borrow::Cow;

use protocol::percent;

use crate::address::addresses;
use crate::secret::FILTERED;
use crate::syntax::MAX_DEPTH;

/// Bytes of the shortest value that is looked for: shorter ones are parts of too much that is none.
pub(crate) const MIN_VALUE: usize = 8;
/// Values of one event that are looked for.
pub(crate) const MAX_VALUES: usize = 64;
/// Bytes of a value that are compared; what follows them goes by the notation.
const MAX_LEN: usize = 4096;

/// What was taken out so far.
#[derive(Clone, Debug, Default)]
pub struct Taken {
    pub(crate) values: Vec<Box<[u8]>>,
    pub(crate) addresses: Vec<Box<[u8]>>,
    pub(crate) beyond: usize,
}

impl Taken {
    /// Takes note of a secret, decoded as often as it is encoded.
    pub(crate) fn secret(&mut self, value: &[u8]) {
        let value = value.trim_ascii();
        // What has been taken out before.
        if *value == *FILTERED {
            return;
        }
        let value = value.get(..MAX_LEN).unwrap_or(value);
        self.value(value);
        if let Some((first, _)) = value.iter().position(|byte| *byte == b' ').and_then(|at| value.split_at_checked(at))
            && first.len() <= 16
            && first.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-')
        {
            // What stands behind a scheme is looked for without it too.
            self.value(value.get(first.len()..).unwrap_or_default().trim_ascii());
        }
        let mut decoded = Cow::Borrowed(value);
        for _ in 0..MAX_DEPTH {
            let Cow::Owned(deeper) = percent::decode_escapes(&decoded) else { break };
            self.value(&deeper);
            decoded = Cow::Owned(deeper);
        }
        if decoded.contains(&b'+') {
            let spaced: Vec<u8> = decoded.iter().map(|byte| if *byte == b'+' { b' ' } else { *byte }).collect();
            self.value(&spaced);
        } else if decoded.contains(&b' ') && matches!(decoded, Cow::Owned(_)) {
            let plus: Vec<u8> = decoded.iter().map(|byte| if *byte == b' ' { b'+' } else { *byte }).collect();
            self.value(&plus);
        }
    }

    /// Takes note of the addresses in `text`.
    pub(crate) fn addresses(&mut self, text: &[u8]) {
        for address in addresses(text).filter(|address| address.len() >= MIN_VALUE) {
            if !self.addresses.iter().any(|known| **known == *address) && self.has_room() {
                self.addresses.push(address.into());
            }
        }
    }

    fn value(&mut self, value: &[u8]) {
        if value.len() < MIN_VALUE || self.values.iter().any(|known| **known == *value) {
            return;
        }
        if self.has_room() {
            self.values.push(value.into());
        }
    }

    fn has_room(&mut self) -> bool {
        let has = self.values.len() + self.addresses.len() < MAX_VALUES;
        self.beyond += usize::from(!has);
        has
    }
}
