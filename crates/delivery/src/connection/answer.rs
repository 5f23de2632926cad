// SPDX-License-Identifier: BSD-2-Clause
//! What is made of an answer. What a server gives as the reason for a refusal is text of unknown origin, for a log.

use std::io::Read;
use std::time::Duration;

use super::field::Field;
use super::head::Head;
use super::request::{Answer, Target};

/// How long a body is waited for once the status is known, to keep the connection. One that takes longer costs it.
pub(crate) const BODY_TIME: Duration = Duration::from_millis(500);
/// Bytes of an answer's body that are read, to keep the connection; a longer answer costs it.
const MAX_BODY: usize = 64 * 1024;
/// Characters of a complaint.
const LENGTH: usize = 200;

/// How a body has come to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum BodyEnd {
    Whole,
    /// It takes longer than is waited for.
    Late,
    /// It is longer than [`MAX_BODY`].
    Long,
    /// What came is no whole body.
    Broken,
}

/// Reads the body to its end, so that the connection can be kept, and keeps the beginning.
pub(crate) fn read(body: &mut impl Read, begin: &mut Vec<u8>) -> BodyEnd {
    let mut buffer = [0; 1024];
    let mut all = 0;
    while all < MAX_BODY {
        match body.read(&mut buffer) {
            Ok(0) => return BodyEnd::Whole,
            Ok(amount) => {
                all += amount;
                let room = buffer.len().saturating_sub(begin.len());
                begin.extend_from_slice(buffer.get(..amount.min(room)).unwrap_or_default());
            }
            Err(error) => {
                let inner = error.get_ref().and_then(|inner| inner.downcast_ref());
                let is_late = matches!(inner, Some(ureq::Error::Timeout(_)));
                return if is_late { BodyEnd::Late } else { BodyEnd::Broken };
            }
        }
    }
    BodyEnd::Long
}

/// What a head, the beginning of the body behind it, and no key of the target say. What a 2xx gives cause to complain of is that its body has cost
/// time and the connection.
pub(crate) fn answer(head: &Head, body: &[u8], end: BodyEnd, target: &Target) -> Answer {
    let of = |field| head.fields.get(field).map(str::to_owned);
    let complaint = match head.status {
        200..300 => match end {
            BodyEnd::Whole | BodyEnd::Broken => None,
            BodyEnd::Late => {
                Some(format!("its body did not end within {} ms, waiting no longer", BODY_TIME.as_millis()))
            }
            BodyEnd::Long => Some(format!("its body has more than {} KiB, reading no more", MAX_BODY >> 10)),
        },
        300..400 => of(Field::Location).map(|location| format!("redirect to {location}")),
        _ => None,
    };
    let complaint = complaint.or_else(|| {
        let said = || of(Field::SentryError).unwrap_or_else(|| String::from_utf8_lossy(body).into_owned());
        (!(200..300).contains(&head.status)).then(said)
    });
    let complaint = complaint.map(|text| line(&without_keys(&text, &target.auth)));
    Answer {
        status: head.status,
        rate_limits: of(Field::RateLimits),
        retry_after: of(Field::RetryAfter),
        complaint: complaint.filter(|text| !text.is_empty()),
    }
}

/// One line of at most [`LENGTH`] characters; what was longer ends in dots.
pub(crate) fn line(text: &str) -> String {
    let line: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(LENGTH + 1).collect();
    let line = line.trim();
    if line.chars().count() <= LENGTH {
        return line.to_owned();
    }
    line.chars().take(LENGTH - 3).chain("...".chars()).collect()
}

/// `text` without the keys that `auth`, the value of `X-Sentry-Auth`, has: some servers repeat them.
fn without_keys(text: &str, auth: &str) -> String {
    let members = auth.split(',').filter_map(|member| member.trim().trim_start_matches("Sentry ").split_once('='));
    let keys = members.filter(|(name, key)| matches!(*name, "sentry_key" | "sentry_secret") && !key.is_empty());
    keys.fold(text.to_owned(), |text, (_, key)| text.replace(key, "[Filtered]"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_complaint_is_one_short_line() {
        assert_eq!(line("  a\r\nb\u{1b}[31m\0c \n"), "a  b [31m c");
        assert_eq!(line(&"ä".repeat(LENGTH)), "ä".repeat(LENGTH));
        assert_eq!(line(&"ä".repeat(LENGTH + 1)), "ä".repeat(LENGTH - 3) + "...");
    }

    #[test]
    fn keys_are_left_out() {
        let auth = "Sentry sentry_version=7, sentry_client=a/1, sentry_key=abc, sentry_secret=xyz";
        assert_eq!(without_keys("no abc:xyz in 7, a/1", auth), "no [Filtered]:[Filtered] in 7, a/1");
        assert_eq!(without_keys("k", "Sentry sentry_key=k"), "[Filtered]");
        assert_eq!(without_keys("as it is", ""), "as it is");
        assert_eq!(without_keys("as it is", "sentry_key="), "as it is");
    }
}
