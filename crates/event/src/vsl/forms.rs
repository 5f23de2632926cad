// SPDX-License-Identifier: BSD-2-Clause
//! Texts of records that the server writes in forms of its own: vsl(7).

/// What a record `Timestamp` tells.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Timestamp<'l> {
    /// What was reached.
    pub name: &'l [u8],
    /// When, in seconds since the epoch.
    pub at: f64,
    /// Milliseconds since the begin of the task.
    pub millis: f64,
}

impl<'l> Timestamp<'l> {
    /// Reads `Name: at since-begin since-last`; `None` for what is not in that form.
    pub fn parse(text: &'l [u8]) -> Option<Timestamp<'l>> {
        let (name, rest) = text.split_at_checked(text.iter().position(|byte| *byte == b':')?)?;
        let mut figures = std::str::from_utf8(rest).ok()?.split(' ').skip(1).map(str::parse::<f64>);
        let (at, seconds) = (figures.next()?.ok()?, figures.next()?.ok()?);
        Some(Timestamp { name, at, millis: (seconds * 1e6).round() / 1e3 })
    }
}

/// What a record `Begin` tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Begin<'l> {
    /// `sess`, `req` or `bereq`.
    pub kind: &'l [u8],
    /// The transaction that this one came from.
    pub parent: u64,
    /// Why: `rxreq`, `esi`, `restart`, `fetch`, `bgfetch`, `pass`, `retry` and so on.
    pub reason: &'l [u8],
}

impl<'l> Begin<'l> {
    /// Reads `kind parent reason`, after which newer servers have more; `None` for what is not in that form.
    pub fn parse(text: &'l [u8]) -> Option<Begin<'l>> {
        let mut words = text.split(|byte| *byte == b' ');
        let (kind, parent, reason) = (words.next()?, words.next()?, words.next()?);
        Some(Begin { kind, parent: std::str::from_utf8(parent).ok()?.parse().ok()?, reason })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_timestamp_has_a_time_and_what_it_took() {
        let start = Timestamp::parse(b"Start: 1606398419.463707 0.000000 0.000000");
        assert_eq!(start, Some(Timestamp { name: b"Start", at: 1_606_398_419.463_707, millis: 0.0 }));
        let resp = Timestamp::parse(b"Resp: 1606398419.5 0.036293 0.000101").map(|resp| resp.millis);
        assert_eq!(resp, Some(36.293));
        for none in [&b""[..], b"Start", b"Start: ", b"Start: x 1 2", b"Start: 1", b"\xff: 1 2 3 \xff"] {
            assert_eq!(Timestamp::parse(none), None, "{none:?}");
        }
    }

    #[test]
    fn a_begin_names_what_it_came_from() {
        let begin = Begin { kind: b"bereq", parent: 32_770, reason: b"fetch" };
        assert_eq!(Begin::parse(b"bereq 32770 fetch"), Some(begin));
        assert_eq!(Begin::parse(b"req 2 esi 1").map(|begin| begin.reason), Some(&b"esi"[..]));
        for none in [&b""[..], b"req", b"req 2", b"req x rxreq", b"req -1 rxreq", b"req 99999999999999999999 x"] {
            assert_eq!(Begin::parse(none), None, "{none:?}");
        }
    }
}
