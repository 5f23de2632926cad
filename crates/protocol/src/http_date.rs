// SPDX-License-Identifier: BSD-2-Clause
//! The dates of HTTP, in the three forms that a recipient has to take (RFC 9110, section 5.6.7).

use std::time::SystemTime;

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::strtime;
use jiff::tz::TimeZone;

const DAYS: [&str; 7] = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"];

/// Parses a date; `None` if the text is none. The name of the day has to be one, and need not be that date's. A year of two digits is one of
/// the hundred around `wall`, fifty ahead.
pub fn parse(text: &str, wall: SystemTime) -> Option<SystemTime> {
    let text = text.trim();
    let at = imf_fixdate(text).or_else(|| asctime(text)).or_else(|| rfc850(text, wall))?;
    Some(at.to_zoned(TimeZone::UTC).ok()?.timestamp().into())
}

/// `Sun, 06 Nov 1994 08:49:37 GMT`
fn imf_fixdate(text: &str) -> Option<DateTime> {
    let (day, rest) = text.split_once(',')?;
    let rest = rest.strip_suffix("GMT").filter(|_| is_short_day(day))?;
    civil("%d %b %Y %H:%M:%S", rest)
}

/// `Sun Nov  6 08:49:37 1994`
fn asctime(text: &str) -> Option<DateTime> {
    let (day, rest) = text.split_once(' ')?;
    Some(rest).filter(|_| is_short_day(day)).and_then(|rest| civil("%b %e %H:%M:%S %Y", rest))
}

/// `Sunday, 06-Nov-94 08:49:37 GMT`
fn rfc850(text: &str, wall: SystemTime) -> Option<DateTime> {
    let (day, rest) = text.split_once(',')?;
    let rest = rest.strip_suffix("GMT").filter(|_| DAYS.iter().any(|known| known.eq_ignore_ascii_case(day)))?;
    let parsed = civil("%d-%b-%y %H:%M:%S", rest)?;
    let now = Timestamp::try_from(wall).ok()?.to_zoned(TimeZone::UTC).year();
    let year = (now - 49..=now + 50).find(|year| year.rem_euclid(100) == parsed.year().rem_euclid(100))?;
    parsed.with().year(year).build().ok()
}

fn civil(form: &str, text: &str) -> Option<DateTime> {
    strtime::parse(form, text.trim()).and_then(|time| time.to_datetime()).ok()
}

fn is_short_day(text: &str) -> bool {
    DAYS.iter().any(|day| day.get(..3).is_some_and(|short| short.eq_ignore_ascii_case(text)))
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const AT: u64 = 784_111_777;

    fn of(text: &str, wall: u64) -> Option<u64> {
        parse(text, UNIX_EPOCH + Duration::from_secs(wall)).map(|at| at.duration_since(UNIX_EPOCH).unwrap().as_secs())
    }

    #[test]
    fn the_three_forms_are_taken() {
        for text in [
            "Sun, 06 Nov 1994 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37 GMT",
            "Sun Nov  6 08:49:37 1994",
            "Sun Nov 06 08:49:37 1994",
            "  Sun, 06 Nov 1994 08:49:37 GMT\t",
            "SUN, 06 NOV 1994 08:49:37 GMT",
            "Sun,06 Nov 1994 08:49:37 GMT",
            // The wrong day.
            "Mon, 06 Nov 1994 08:49:37 GMT",
            "Monday, 06-Nov-94 08:49:37 GMT",
        ] {
            assert_eq!(of(text, AT), Some(AT), "{text}");
        }
    }

    #[test]
    fn what_is_no_date_is_none() {
        for text in [
            "",
            "120",
            "Sun",
            "Sun,",
            "06 Nov 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 08:49:37",
            "Sun, 06 Nov 1994 08:49:37 CET",
            "Sun, 06 Nov 1994 08:49 GMT",
            "Sun, 31 Feb 1994 08:49:37 GMT",
            "Sun, 06 Nov 1994 25:49:37 GMT",
            "Son, 06 Nov 1994 08:49:37 GMT",
            "Sun, 06-Nov-94 08:49:37 GMT",
            "Sunday, 06-Nov-94 08:49:37",
            "Sun Nov  6 08:49:37 1994 GMT",
            "1994-11-06T08:49:37Z",
            "Sun, 06 Nov 1994 08:49:37 GMT, 7",
        ] {
            assert_eq!(of(text, AT), None, "{text}");
        }
    }

    #[test]
    fn a_year_of_two_digits_is_near() {
        let year = |text: &str, wall: u64| {
            let at = of(text, wall).map(|at| Timestamp::from_second(at as i64).unwrap());
            at.map(|at| at.to_zoned(TimeZone::UTC).year())
        };
        const IN_2026: u64 = 1_767_225_600;
        const IN_2080: u64 = 3_471_292_800;
        for (digits, wall, expected) in [
            (94, AT, 1994),
            (44, AT, 2044),
            (26, IN_2026, 2026),
            (76, IN_2026, 2076),
            (77, IN_2026, 1977),
            (1, IN_2080, 2101),
            (79, IN_2080, 2079),
        ] {
            assert_eq!(year(&format!("Friday, 06-Nov-{digits:02} 08:49:37 GMT"), wall), Some(expected), "{digits}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_survived(text in "((Sun|Sunday),? ?)?([0-9A-Za-z:, -]|\\PC){0,40}( GMT)?", wall in 0_u64..1 << 40) {
            let _ = parse(&text, UNIX_EPOCH + Duration::from_secs(wall));
        }

        #[test]
        fn what_was_written_is_read(at in 0_i64..4_000_000_000) {
            let time = Timestamp::from_second(at).unwrap().to_zoned(TimeZone::UTC);
            for form in ["%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"] {
                prop_assert_eq!(of(&time.strftime(form).to_string(), at as u64), Some(at as u64), "{}", form);
            }
        }
    }
}
