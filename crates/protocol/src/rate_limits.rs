// SPDX-License-Identifier: BSD-2-Clause
//! The rate limits Sentry asks us to keep. <https://develop.sentry.dev/sdk/expected-features/rate-limiting/>
//!
//! Deadlines are monotonic, so that a wall clock that jumps neither ends a limit nor prolongs it.

use std::borrow::Cow;
use std::time::{Duration, Instant, SystemTime};

use crate::category::Category;
use crate::http_date;

/// What a 429 without any usable header means.
const BARE_429: Duration = Duration::from_secs(60);
/// The longest limit that is believed. A server that means longer says so again a day later, at the
/// price of one event; a server that errs does not silence us until the next restart.
const MAX_LIMIT: Duration = Duration::from_secs(24 * 60 * 60);

/// The headers of an answer that say something about limits.
#[derive(Clone, Copy, Debug, Default)]
pub struct LimitHeaders<'a> {
    /// `X-Sentry-Rate-Limits`; several lines joined by commas.
    pub rate_limits: Option<&'a str>,
    /// `Retry-After`; several lines joined by commas.
    pub retry_after: Option<&'a str>,
}

/// The limits in force, one deadline per category and one for all of them.
///
/// All methods take `now`, so that a test never sleeps and never reads a clock.
#[derive(Clone, Debug, Default)]
pub struct RateLimits {
    all: Option<Instant>,
    categories: [Option<Instant>; Category::ALL.len()],
}

impl RateLimits {
    /// Takes in what an answer says, whatever its status: `X-Sentry-Rate-Limits`, or on a 429 without it
    /// (or with nothing readable in it) `Retry-After`, or on a bare 429 a minute for all.
    /// Of an old and a new limit on the same category the later one counts.
    pub fn update(&mut self, status: u16, headers: LimitHeaders<'_>, now: Instant, wall: SystemTime) {
        let understood = headers.rate_limits.is_some_and(|value| self.update_from(value, now));
        if !understood && status == 429 {
            let pause = headers.retry_after.and_then(|value| retry_after(value, wall)).unwrap_or(BARE_429);
            prolong(&mut self.all, pause, now);
        }
    }

    /// Until when nothing of `category` may leave; `None` if it may leave now.
    pub fn until(&self, category: Category, now: Instant) -> Option<Instant> {
        let own = self.categories.get(category as usize).copied().flatten();
        self.all.max(own).filter(|until| *until > now)
    }

    /// The limits in force, by their words (`all` for the one on everything), each with the time left.
    pub fn in_force(&self, now: Instant) -> impl Iterator<Item = (&'static str, Duration)> {
        let all = self.all.map(|until| ("all", until));
        let categories = Category::ALL.into_iter().zip(self.categories);
        let categories = categories.filter_map(|(category, until)| Some((category.as_str(), until?)));
        all.into_iter()
            .chain(categories)
            .filter(move |(_, until)| *until > now)
            .map(move |(word, until)| (word, until - now))
    }

    /// Reads `seconds:categories:scope:reason:namespaces, …`. Scope and what follows do not concern us.
    /// Returns whether at least one limit was well formed, be it about categories unknown to us.
    fn update_from(&mut self, value: &str, now: Instant) -> bool {
        let mut understood = false;
        for limit in value.split(',') {
            let mut parts = limit.split(':').map(str::trim);
            let Some(pause) = parts.next().and_then(seconds) else { continue };
            let Some(categories) = parts.next() else { continue };
            understood = true;
            if categories.is_empty() {
                prolong(&mut self.all, pause, now);
                continue;
            }
            for word in categories.split(';').map(str::trim) {
                let known = Category::ALL.into_iter().find(|category| category.as_str() == word);
                if let Some(deadline) = known.and_then(|category| self.categories.get_mut(category as usize)) {
                    prolong(deadline, pause, now);
                }
            }
        }
        understood
    }
}

/// The maximum rule.
fn prolong(deadline: &mut Option<Instant>, pause: Duration, now: Instant) {
    *deadline = (*deadline).max(now.checked_add(pause));
}

/// Whole or fractional seconds, at most [`MAX_LIMIT`]; `None` for anything that is not a number from 0 on.
fn seconds(text: &str) -> Option<Duration> {
    let seconds: f64 = text.parse().ok()?;
    (seconds.is_finite() && seconds >= 0.0).then(|| Duration::from_secs_f64(seconds.min(MAX_LIMIT.as_secs_f64())))
}

/// `Retry-After` as RFC 9110 section 10.2.3 has it: seconds, or an HTTP date. A date that is not ahead of our wall clock says nothing, for the
/// clocks may differ. Of several, joined by commas, the longest counts, as of several limits: who has asked for two pauses is done
/// with neither before that.
fn retry_after(value: &str, wall: SystemTime) -> Option<Duration> {
    let pieces: Vec<_> = value.split(',').collect();
    // Most dates have a comma.
    let pairs = pieces.windows(2).map(|pair| pair.join(","));
    let dates = pieces.iter().copied().map(Cow::Borrowed).chain(pairs.map(Cow::Owned));
    let ahead = dates.filter_map(|text| http_date::parse(&text, wall)).filter_map(|at| at.duration_since(wall).ok());
    let pauses = pieces.iter().filter_map(|text| seconds(text.trim()));
    pauses.chain(ahead.filter(|pause| !pause.is_zero()).map(|pause| pause.min(MAX_LIMIT))).max()
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use proptest::prelude::*;

    use super::*;

    /// Sun, 06 Nov 1994 08:49:37 GMT
    const WALL: Duration = Duration::from_secs(784_111_777);

    fn after(status: u16, rate_limits: Option<&str>, retry_after: Option<&str>) -> Vec<(&'static str, f64)> {
        let now = Instant::now();
        let mut limits = RateLimits::default();
        limits.update(status, LimitHeaders { rate_limits, retry_after }, now, UNIX_EPOCH + WALL);
        limits.in_force(now).map(|(word, left)| (word, left.as_secs_f64())).collect()
    }

    #[test]
    fn the_rate_limits_header_is_read_on_every_answer() {
        const DAY: f64 = 86_400.0;
        let table: &[(&str, &[(&str, f64)])] = &[
            ("60:error:key", &[("error", 60.0)]),
            ("60::organization", &[("all", 60.0)]),
            ("60:", &[("all", 60.0)]),
            ("60: :key", &[("all", 60.0)]),
            // Bugsink says this on every 200; errors go on.
            ("86400:transaction;span:organization", &[("transaction", DAY), ("span", DAY)]),
            ("60::key, 86400:transaction;span:organization", &[("all", 60.0), ("transaction", DAY), ("span", DAY)]),
            ("2.5:error:key:quota:ns;more", &[("error", 2.5)]),
            (" 60 : error ; monitor : key ,30:session:key", &[("error", 60.0), ("monitor", 60.0), ("session", 30.0)]),
            ("60:error:key, 30:error:key", &[("error", 60.0)]),
            ("30:error:key, 60:error:key", &[("error", 60.0)]),
            ("60:brand_new:key", &[]),
            ("60:brand_new;error:key", &[("error", 60.0)]),
            ("60:ERROR:key", &[]),
            ("60:;:key", &[]),
            ("0:error:key", &[]),
            ("-1:error:key", &[]),
            ("inf:error:key", &[]),
            ("nan:error:key", &[]),
            ("1e300:error:key", &[("error", DAY)]),
            ("99999999999999999999:error:key", &[("error", DAY)]),
            ("soon:error:key, 7:error:key", &[("error", 7.0)]),
            ("60", &[]),
            ("", &[]),
            (",,::,;", &[]),
            ("60:internal:key", &[("internal", 60.0)]),
        ];
        for (value, expected) in table {
            assert_eq!(after(200, Some(value), None), *expected, "200 with {value:?}");
            assert_eq!(after(500, Some(value), Some("99")), *expected, "500 with {value:?}");
        }
    }

    #[test]
    fn a_429_falls_back_on_retry_after_and_then_on_a_minute() {
        type Case<'a> = (Option<&'a str>, Option<&'a str>, &'a [(&'a str, f64)]);
        let table: &[Case<'_>] = &[
            (None, None, &[("all", 60.0)]),
            (None, Some("5"), &[("all", 5.0)]),
            (None, Some(" 2.5 "), &[("all", 2.5)]),
            (None, Some("0"), &[]),
            (None, Some("Sun, 06 Nov 1994 08:51:37 GMT"), &[("all", 120.0)]),
            (None, Some("Sun, 06 Nov 2044 08:51:37 GMT"), &[("all", 86_400.0)]),
            (None, Some("Sun, 06 Nov 1994 08:49:37 GMT"), &[("all", 60.0)]),
            (None, Some("Sun, 06 Nov 1994 08:00:00 GMT"), &[("all", 60.0)]),
            (None, Some("in a while"), &[("all", 60.0)]),
            (None, Some("Sunday, 06-Nov-94 08:51:37 GMT"), &[("all", 120.0)]),
            (None, Some("Sunday, 06-Nov-44 08:51:37 GMT"), &[("all", 86_400.0)]),
            (None, Some("Sunday, 06-Nov-45 08:51:37 GMT"), &[("all", 60.0)]),
            (None, Some("Sun Nov  6 08:51:37 1994"), &[("all", 120.0)]),
            (None, Some("-5"), &[("all", 60.0)]),
            (None, Some("-0.5"), &[("all", 60.0)]),
            (None, Some("0.25"), &[("all", 0.25)]),
            (None, Some("1e9"), &[("all", 86_400.0)]),
            (None, Some("99999999999999999999999999"), &[("all", 86_400.0)]),
            (None, Some("inf"), &[("all", 60.0)]),
            (None, Some("120s"), &[("all", 60.0)]),
            // Twice: the later one.
            (None, Some("7,8"), &[("all", 8.0)]),
            (None, Some("8, 7"), &[("all", 8.0)]),
            (None, Some("-5, 7, soon"), &[("all", 7.0)]),
            (None, Some("soon,"), &[("all", 60.0)]),
            (None, Some("Sun, 06 Nov 1994 08:51:37 GMT,7"), &[("all", 120.0)]),
            (None, Some("200,Sun, 06 Nov 1994 08:51:37 GMT"), &[("all", 200.0)]),
            (None, Some("0,Sun, 06 Nov 1994 08:00:00 GMT"), &[]),
            (
                None,
                Some("Sun, 06 Nov 1994 08:50:37 GMT,Sunday, 06-Nov-94 08:51:37 GMT,Sun Nov  6 08:50:07 1994"),
                &[("all", 120.0)],
            ),
            (Some("garbage"), Some("5"), &[("all", 5.0)]),
            (Some(""), None, &[("all", 60.0)]),
            (Some("30:error:key"), Some("5"), &[("error", 30.0)]),
            (Some("30:transaction:key"), Some("5"), &[("transaction", 30.0)]),
            (Some("30:brand_new:key"), None, &[]),
        ];
        for (rate_limits, retry_after, expected) in table {
            assert_eq!(after(429, *rate_limits, *retry_after), *expected, "{rate_limits:?} {retry_after:?}");
        }
        assert_eq!(after(503, None, Some("5")), [], "only a 429 limits by Retry-After");
    }

    #[test]
    fn bare_429_blocks_errors_for_one_minute() {
        let now = Instant::now();
        let mut limits = RateLimits::default();
        limits.update(429, LimitHeaders::default(), now, UNIX_EPOCH);
        let minute = now + Duration::from_secs(60);
        assert_eq!(limits.until(Category::Error, now), Some(minute));
        assert_eq!(limits.until(Category::Error, minute - Duration::from_millis(1)), Some(minute));
        assert_eq!(limits.until(Category::Error, minute), None);
    }

    #[test]
    fn a_shorter_limit_never_ends_a_longer_one_and_all_covers_each() {
        let now = Instant::now();
        let mut limits = RateLimits::default();
        let mut say = |value, at| {
            let headers = LimitHeaders { rate_limits: Some(value), retry_after: None };
            limits.update(200, headers, at, UNIX_EPOCH);
            [Category::Error, Category::Internal].map(|category| limits.until(category, at).map(|until| until - at))
        };
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(say("100:error:key", now), [seconds(100), None]);
        let later = now + Duration::from_secs(10);
        assert_eq!(say("5:error:key", later), [seconds(90), None]);
        assert_eq!(say("20::key", later), [seconds(90), seconds(20)]);
        assert_eq!(say("200::key", later), [seconds(200), seconds(200)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived_and_no_limit_exceeds_a_day(
            status in 100_u16..600,
            rate_limits in prop::option::of("([0-9.:;, a-z+-]|\\PC){0,80}"),
            retry_after in prop::option::of("([0-9]{0,30},? ?|(Sun|Sunday),? [0-9A-Za-z: -]{0,25}(GMT)?,?|\\PC){0,8}"),
        ) {
            let headers = LimitHeaders { rate_limits: rate_limits.as_deref(), retry_after: retry_after.as_deref() };
            let now = Instant::now();
            let mut limits = RateLimits::default();
            limits.update(status, headers, now, UNIX_EPOCH + WALL);
            for (_, left) in limits.in_force(now) {
                prop_assert!(left <= MAX_LIMIT);
            }
        }

        #[test]
        fn a_limit_is_in_force_for_exactly_as_long_as_the_longest_said(
            said in prop::collection::vec((0_u64..200, 0_u64..100), 1..20),
        ) {
            let start = Instant::now();
            let mut limits = RateLimits::default();
            let (mut after, mut expected) = (0, 0);
            for (step, pause) in said {
                after += step;
                expected = expected.max(after + pause);
                let header = format!("{pause}:error:key");
                let headers = LimitHeaders { rate_limits: Some(&header), retry_after: None };
                limits.update(200, headers, start + Duration::from_secs(after), UNIX_EPOCH);
                let until = start + Duration::from_secs(expected);
                let asked = start + Duration::from_secs(after);
                prop_assert_eq!(limits.until(Category::Error, asked), (until > asked).then_some(until));
            }
        }
    }
}
