// SPDX-License-Identifier: BSD-2-Clause
//! Rate limits: whatever servers answer one after the other, a limit ends within a day and is one that was asked for.
#![no_main]

use std::time::{Duration, Instant, UNIX_EPOCH};

use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use protocol::category::Category;
use protocol::rate_limits::{LimitHeaders, RateLimits};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// Whether `value` has a limit on the category `word`, or with an empty one on all of them.
fn names(value: Option<&str>, word: &str) -> bool {
    let limits = value.unwrap_or_default().split(',').filter_map(|limit| limit.split(':').nth(1));
    limits.flat_map(|categories| categories.split(';')).any(|category| category.trim() == word)
}

fuzz_target!(|input: &[u8]| {
    let begin = Instant::now();
    let mut clock = Duration::ZERO;
    let mut limits = RateLimits::default();
    // Each line is an answer: status, how long it took to come, the two headers.
    for line in Bytes(input).lines() {
        let mut answer = Bytes(line);
        let status = answer.pick(&[429, 200, 503, 413]);
        clock += Duration::from_secs(answer.byte().into()) * 60;
        let text = String::from_utf8_lossy(answer.0);
        let (rate_limits, retry_after) = text.split_once('\t').unwrap_or((&text, ""));
        let header = |value| Some(value).filter(|value: &&str| !value.is_empty());
        let headers = LimitHeaders { rate_limits: header(rate_limits), retry_after: header(retry_after) };
        let now = begin + clock;
        let before = limits.clone();
        limits.update(status, headers, now, UNIX_EPOCH + Duration::from_secs(1_767_225_600) + clock);

        let left = |limits: &RateLimits, word| limits.in_force(now).find(|(of, _)| *of == word).map(|(_, left)| left);
        for word in Category::ALL.map(Category::as_str).into_iter().chain(["all"]) {
            let (was, is) = (left(&before, word), left(&limits, word));
            assert!(is >= was && is <= Some(DAY), "{word}: from {was:?} to {is:?}");
            let asked = names(headers.rate_limits, if word == "all" { "" } else { word });
            assert!(is == was || asked || word == "all" && status == 429, "{word} was not asked for");
        }
        for category in Category::ALL {
            let (until, all) = (limits.until(category, now), left(&limits, "all"));
            assert_eq!(until.map(|until| until - now), left(&limits, category.as_str()).max(all));
            assert_eq!(limits.until(category, now + DAY), None);
        }
    }
});
