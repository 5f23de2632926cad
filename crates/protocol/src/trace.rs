// SPDX-License-Identifier: BSD-2-Clause
//! The trace that a task belongs to: what ties its events to those of whoever asked, and of whom it asks.
//!
//! A request names it in `sentry-trace` (develop.sentry.dev/sdk/telemetry/traces) or in the W3C's
//! `traceparent`; without one the task begins one. No spans are recorded here: the id of the task's span is
//! one that others may name as their parent.

use crate::header::parse;
use crate::hex;

/// A trace, and the task's place in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Trace {
    id: [u8; 16],
    span: [u8; 8],
    /// The caller's span; `None` if the trace began here.
    parent: Option<[u8; 8]>,
    /// The decision of whoever began the trace, handed on as it came. Nothing is decided here.
    sampled: Option<bool>,
}

/// A header that has one value; sent twice it is as if it was not there, for who is to say which one counts?
#[derive(Clone, Copy)]
enum Single<'a> {
    None,
    One(&'a [u8]),
    Many,
}

impl<'a> Single<'a> {
    fn add(&mut self, value: &'a [u8]) {
        *self = match self {
            Single::None => Single::One(value),
            _ => Single::Many,
        };
    }

    fn one(self) -> Option<&'a [u8]> {
        match self {
            Single::One(value) => Some(value),
            _ => None,
        }
    }
}

impl Trace {
    /// The trace of a task whose request has the header `lines`, `Name: text`; what is not well-formed is
    /// ignored, and `sentry-trace` goes before `traceparent`. `random` gives the ids that begin here.
    pub fn of<'l>(lines: impl Iterator<Item = &'l [u8]>, mut random: impl FnMut() -> u64) -> Trace {
        let (mut sentry, mut w3c) = (Single::None, Single::None);
        // Nearly every line has another first letter.
        for line in lines.filter(|line| line.first().is_some_and(|letter| b"sStT".contains(letter))) {
            match parse(line) {
                Some((name, value)) if name.eq_ignore_ascii_case(b"sentry-trace") => sentry.add(value),
                Some((name, value)) if name.eq_ignore_ascii_case(b"traceparent") => w3c.add(value),
                _ => {}
            }
        }
        // No span has the id zero.
        let span = random().max(1).to_be_bytes();
        let parsed = sentry.one().and_then(sentry_trace).or_else(|| w3c.one().and_then(traceparent));
        if let Some((id, parent, sampled)) = parsed {
            return Trace { id, span, parent: Some(parent), sampled };
        }
        let mut id = [0; 16];
        for (half, random) in id.chunks_exact_mut(8).zip([random(), random()]) {
            half.copy_from_slice(&random.to_be_bytes());
        }
        // A version 4 UUID, as Sentry wants it.
        id[6] = id[6] & 0x0f | 0x40;
        id[8] = id[8] & 0x3f | 0x80;
        Trace { id, span, parent: None, sampled: None }
    }

    /// Whether another began it.
    pub fn is_continued(&self) -> bool {
        self.parent.is_some()
    }

    /// The id, 32 digits.
    pub fn id(&self) -> String {
        digits(&self.id)
    }

    /// The id of the task's span, 16 digits.
    pub fn span(&self) -> String {
        digits(&self.span)
    }

    /// The id of the caller's span.
    pub fn parent(&self) -> Option<String> {
        self.parent.map(|parent| digits(&parent))
    }

    /// What tells the next one of the trace, as `sentry-trace`.
    pub fn sentry_trace(&self) -> String {
        let sampled = match self.sampled {
            Some(true) => "-1",
            Some(false) => "-0",
            None => "",
        };
        format!("{}-{}{sampled}", self.id(), self.span())
    }

    /// The same as `traceparent`, which cannot say that nothing was decided.
    pub fn traceparent(&self) -> String {
        format!("00-{}-{}-0{}", self.id(), self.span(), u8::from(self.sampled == Some(true)))
    }

    /// The decision that came with it whether to keep the trace.
    pub fn sampled(&self) -> Option<bool> {
        self.sampled
    }

    /// The second half of its id, which is the random one of those that have only 64 bits.
    pub fn low(&self) -> u64 {
        self.id.last_chunk().copied().map_or(0, u64::from_be_bytes)
    }

    /// For a record.
    pub fn to_bytes(&self) -> [u8; 33] {
        let mut bytes = [0; 33];
        let (id, rest) = bytes.split_at_mut(16);
        let (span, rest) = rest.split_at_mut(8);
        let (parent, decision) = rest.split_at_mut(8);
        id.copy_from_slice(&self.id);
        span.copy_from_slice(&self.span);
        parent.copy_from_slice(&self.parent.unwrap_or_default());
        decision.fill(match self.sampled {
            Some(true) => b'1',
            Some(false) => b'0',
            None => 0,
        });
        bytes
    }

    /// The other way.
    pub fn from_bytes(bytes: &[u8]) -> Option<Trace> {
        let (id, rest) = bytes.split_first_chunk::<16>()?;
        let (span, rest) = rest.split_first_chunk::<8>()?;
        let (parent, decision) = rest.split_first_chunk::<8>()?;
        let sampled = match decision {
            b"1" => Some(true),
            b"0" => Some(false),
            [0] => None,
            _ => return None,
        };
        Some(Trace { id: *id, span: *span, parent: Some(*parent).filter(|id| *id != [0; 8]), sampled })
    }
}

type Parsed = ([u8; 16], [u8; 8], Option<bool>);

/// `<32 digits>-<16 digits>[-<0 or 1>]`.
fn sentry_trace(value: &[u8]) -> Option<Parsed> {
    let (id, rest) = value.split_at_checked(32)?;
    let (span, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
    let sampled = match rest {
        b"" => None,
        b"-0" => Some(false),
        b"-1" => Some(true),
        _ => return None,
    };
    Some((id_of(id)?, id_of(span)?, sampled))
}

/// `<version>-<32 digits>-<16 digits>-<flags>`; of a version after 00, more may follow (W3C Trace Context, 3.2).
fn traceparent(value: &[u8]) -> Option<Parsed> {
    let (version, rest) = value.split_at_checked(2)?;
    let [version] = hex::read(version)?;
    let (id, rest) = rest.strip_prefix(b"-")?.split_at_checked(32)?;
    let (span, rest) = rest.strip_prefix(b"-")?.split_at_checked(16)?;
    let (flags, rest) = rest.strip_prefix(b"-")?.split_at_checked(2)?;
    let [flags] = hex::read(flags)?;
    let ends_well = match version {
        0 => rest.is_empty(),
        0xff => false,
        _ => rest.is_empty() || rest.starts_with(b"-"),
    };
    // A flag that is not set says that the caller may not have recorded, and forbids nobody to.
    let sampled = (flags & 1 == 1).then_some(true);
    Some((id_of(id)?, id_of(span)?, sampled)).filter(|_| ends_well)
}

/// An id; none is all zeros.
fn id_of<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    hex::read(digits).filter(|id| *id != [0; N])
}

fn digits(id: &[u8]) -> String {
    let mut digits = vec![0; 2 * id.len()];
    hex::write(id, &mut digits);
    digits.into_iter().map(char::from).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "771a43a4192642f0b136d5159a501700";
    const SPAN: &str = "00f067aa0ba902b7";

    fn of(lines: &[&str]) -> Trace {
        let mut next = 0xfedc_ba98_7654_3210_u64;
        Trace::of(lines.iter().map(|line| line.as_bytes()), || {
            next = next.rotate_left(4);
            next
        })
    }

    /// The trace of a request with one header, in a request that has others.
    fn of_one(name: &str, value: &str) -> Trace {
        of(&["Host: shop", "Trailer: x", "Server-Timing: y", &format!("{name}: {value}"), "TE: trailers"])
    }

    #[test]
    fn a_sentry_trace_is_continued_if_it_is_well_formed() {
        let zeros = "0".repeat(32);
        for (value, sampled) in [
            (format!("{ID}-{SPAN}"), Some("")),
            (format!("{ID}-{SPAN}-0"), Some("-0")),
            (format!("  {ID}-{SPAN}-1\t"), Some("-1")),
            (format!("{ID}-{SPAN}-"), None),
            (format!("{ID}-{SPAN}-2"), None),
            (format!("{ID}-{SPAN}-1-"), None),
            (format!("{ID}-{SPAN} -1"), None),
            (format!("{ID}{SPAN}"), None),
            (format!("{ID}_{SPAN}"), None),
            (format!("{}-{SPAN}", ID.to_uppercase()), None),
            (format!("{ID}-{}", SPAN.to_uppercase()), None),
            (format!("{zeros}-{SPAN}"), None),
            (format!("{ID}-{}", &zeros[..16]), None),
            (format!("{}-{SPAN}", &ID[1..]), None),
            (format!("{ID}0-{SPAN}"), None),
            (format!("{ID}-{}", &SPAN[1..]), None),
            (format!("{ID}-{SPAN}0"), None),
            (format!("{}g-{SPAN}", &ID[1..]), None),
            (format!("\u{e4}{ID}-{SPAN}"), None),
            (ID.to_owned(), None),
            ("1".to_owned(), None),
            (String::new(), None),
        ] {
            let trace = of_one("Sentry-Trace", &value);
            assert_eq!(trace.is_continued(), sampled.is_some(), "{value}");
            if let Some(sampled) = sampled {
                assert_eq!((trace.id(), trace.parent()), (ID.to_owned(), Some(SPAN.to_owned())), "{value}");
                assert_eq!(trace.sentry_trace(), format!("{ID}-{}{sampled}", trace.span()));
                assert_ne!(trace.span(), SPAN);
            }
        }
    }

    #[test]
    fn a_traceparent_is_continued_if_it_is_well_formed() {
        let zeros = "0".repeat(32);
        for (value, flags) in [
            (format!("00-{ID}-{SPAN}-01"), Some("01")),
            (format!("00-{ID}-{SPAN}-00"), Some("00")),
            (format!("00-{ID}-{SPAN}-03"), Some("01")),
            (format!("00-{ID}-{SPAN}-fe"), Some("00")),
            (format!("00-{ID}-{SPAN}-01-"), None),
            (format!("00-{ID}-{SPAN}-01-more"), None),
            (format!("01-{ID}-{SPAN}-01"), Some("01")),
            (format!("cc-{ID}-{SPAN}-01-what the future brings"), Some("01")),
            (format!("cc-{ID}-{SPAN}-01."), None),
            (format!("cc-{ID}-{SPAN}-011"), None),
            (format!("ff-{ID}-{SPAN}-01"), None),
            (format!("0-{ID}-{SPAN}-01"), None),
            (format!("0G-{ID}-{SPAN}-01"), None),
            (format!("CC-{ID}-{SPAN}-01"), None),
            (format!("00-{ID}-{SPAN}-1"), None),
            (format!("00-{ID}-{SPAN}-0A"), None),
            (format!("00-{ID}-{SPAN}"), None),
            (format!("00-{}-{SPAN}-01", ID.to_uppercase()), None),
            (format!("00-{zeros}-{SPAN}-01"), None),
            (format!("00-{ID}-{}-01", &zeros[..16]), None),
            (format!("00-{}-{SPAN}-01", &ID[1..]), None),
            (format!("00-{ID}-{SPAN}0-01"), None),
            ("00".to_owned(), None),
            (String::new(), None),
        ] {
            let trace = of_one("traceparent", &value);
            assert_eq!(trace.is_continued(), flags.is_some(), "{value}");
            if let Some(flags) = flags {
                assert_eq!(trace.traceparent(), format!("00-{ID}-{}-{flags}", trace.span()), "{value}");
                assert_eq!(trace.parent().as_deref(), Some(SPAN));
            }
        }
    }

    #[test]
    fn what_the_w3c_calls_not_sampled_decides_nothing_for_sentry() {
        let trace = of_one("traceparent", &format!("00-{ID}-{SPAN}-00"));
        assert_eq!(trace.sentry_trace(), format!("{ID}-{}", trace.span()));
        let trace = of_one("sentry-trace", &format!("{ID}-{SPAN}-0"));
        assert_eq!(trace.traceparent(), format!("00-{ID}-{}-00", trace.span()));
    }

    #[test]
    fn of_two_headers_the_sentry_trace_counts_unless_it_is_none() {
        let w3c = format!("traceparent: 00-{}-{SPAN}-01", "1".repeat(32));
        assert_eq!(of(&[&w3c, &format!("sentry-trace: {ID}-{SPAN}")]).id(), ID);
        assert_eq!(of(&[&w3c, "sentry-trace: none"]).id(), "1".repeat(32));
    }

    #[test]
    fn a_header_that_comes_twice_counts_as_absent() {
        let sentry = format!("sentry-trace: {ID}-{SPAN}");
        assert!(!of(&[&sentry, &sentry]).is_continued());
        let w3c = format!("traceparent: 00-{ID}-{SPAN}-01");
        assert!(!of(&[&w3c, &w3c, &w3c]).is_continued());
        assert!(of(&[&w3c, &sentry, &sentry]).is_continued());
    }

    #[test]
    fn without_a_header_a_trace_begins_that_nobody_has_decided_on() {
        let trace = of(&["Host: shop", "sentry-traces: x", "no colon"]);
        assert_eq!((trace.is_continued(), trace.parent()), (false, None));
        assert_eq!(trace.span(), "edcba9876543210f");
        assert_eq!(trace.id(), "dcba9876543240fe8ba9876543210fed");
        assert_eq!(trace.sentry_trace(), format!("{}-{}", trace.id(), trace.span()));
        assert_eq!(trace.traceparent(), format!("00-{}-{}-00", trace.id(), trace.span()));
    }

    #[test]
    fn no_id_is_zero_whatever_chance_says() {
        let trace = Trace::of(std::iter::empty(), || 0);
        assert_eq!(trace.sentry_trace(), "00000000000040008000000000000000-0000000000000001");
    }

    #[test]
    fn a_record_keeps_the_ids_and_the_decision() {
        let continued = ["", "-0", "-1"].map(|decision| of(&[&format!("sentry-trace: {ID}-{SPAN}{decision}")]));
        for trace in [of(&[])].iter().chain(&continued) {
            assert_eq!(Trace::from_bytes(&trace.to_bytes()), Some(*trace));
        }
        for wrong in [vec![1; 32], vec![1; 33], [[1; 32].as_slice(), b"11"].concat()] {
            assert_eq!(Trace::from_bytes(&wrong), None);
        }
    }
}
