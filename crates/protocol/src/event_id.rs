// SPDX-License-Identifier: BSD-2-Clause
//! The id of an event: made where the event is captured, so that VCL can log it and send it to the client.

use std::fmt;

use crate::hex;

/// A version 4 UUID; displays as Sentry wants it: 32 lower-case hex digits, no dashes.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct EventId([u8; 16]);

impl EventId {
    /// Makes an id of 16 random bytes; version and variant bits are set as RFC 9562 says.
    pub fn from_random(mut bytes: [u8; 16]) -> EventId {
        bytes[6] = bytes[6] & 0x0f | 0x40;
        bytes[8] = bytes[8] & 0x3f | 0x80;
        EventId(bytes)
    }

    /// Reads an id as others write it: 32 hex digits of either case, maybe with the dashes of a UUID. `None` for anything else.
    pub fn parse(text: &[u8]) -> Option<EventId> {
        const DASHES: [usize; 4] = [8, 13, 18, 23];
        let mut digits = [0; 32];
        let is_dashed = text.len() == 36 && DASHES.iter().all(|at| text.get(*at) == Some(&b'-'));
        if text.len() != 32 && !is_dashed {
            return None;
        }
        let bare = text.iter().enumerate().filter(|(at, _)| !(is_dashed && DASHES.contains(at)));
        digits.iter_mut().zip(bare).for_each(|(digit, (_, byte))| *digit = byte.to_ascii_lowercase());
        hex::read(&digits).map(EventId)
    }

    /// The 32 hex digits, without an allocation.
    pub fn to_hex(self) -> [u8; 32] {
        let mut digits = [0; 32];
        hex::write(&self.0, &mut digits);
        digits
    }
}

impl fmt::Display for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(str::from_utf8(&self.to_hex()).unwrap_or_default())
    }
}

impl fmt::Debug for EventId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_is_32_hex_digits_with_version_and_variant() {
        assert_eq!(EventId::from_random([0xff; 16]).to_string(), "ffffffffffff4fffbfffffffffffffff");
        assert_eq!(EventId::from_random([0; 16]).to_string(), "00000000000040008000000000000000");
    }

    #[test]
    fn an_id_is_read_in_each_way_that_sdks_write_it() {
        let bare = "fc6d8c0c43fc4630ad850ee518f1b9d0";
        for text in [bare, &bare.to_uppercase(), "fc6d8c0c-43fc-4630-ad85-0ee518f1b9d0"] {
            assert_eq!(EventId::parse(text.as_bytes()).map(|id| id.to_string()).as_deref(), Some(bare), "{text}");
        }
        let dashed = "fc6d8c0c-43fc-4630-ad85-0ee518f1b9d0";
        for text in [
            "",
            &bare[1..],
            &bare.replace('f', "g"),
            &dashed.replacen('-', "0", 1),
            &format!("{bare}0000"),
            &format!("{dashed}0"),
        ] {
            assert_eq!(EventId::parse(text.as_bytes()), None, "{text}");
        }
    }
}
