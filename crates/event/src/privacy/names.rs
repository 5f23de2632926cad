// SPDX-License-Identifier: BSD-2-Clause
//! The names whose values are kept back, found in one pass over a name and without a copy of it.

/// Sentry's list, then ours: what signed URLs carry, and cookies under whatever name; from [`SECRETS`] on
/// Sentry's extended list: names whose values point at a person. It takes `X-Forwarded-Proto` and
/// `X-Forwarded-Host` along; what they say is in the event's URL.
const WORDS: [&[u8]; 27] = [
    b"auth",
    b"token",
    b"secret",
    b"password",
    b"passwd",
    b"pwd",
    b"key",
    b"jwt",
    b"bearer",
    b"sso",
    b"saml",
    b"csrf",
    b"xsrf",
    b"session",
    b"sid",
    b"identity",
    b"credential",
    b"signature",
    b"passphrase",
    b"cookie",
    b"forwarded",
    b"-ip",
    b"remote-",
    b"via",
    b"-user",
    b"clientip",
    b"-addr",
];
/// How many of them are secrets.
const SECRETS: u32 = 20;
const ALL_SECRETS: u32 = (1 << SECRETS) - 1;

/// By a byte of a name, the words that it may be the first of, a bit for each; the second, and the third: no word
/// is shorter.
static FIRST: [u32; 256] = words_with(0);
static SECOND: [u32; 256] = words_with(1);
static THIRD: [u32; 256] = words_with(2);

const fn words_with(place: usize) -> [u32; 256] {
    let mut words = [0; 256];
    let mut byte = 0;
    while byte < words.len() {
        let mut word = 0;
        while word < WORDS.len() {
            if WORDS[word][place] == folded(byte as u8) {
                words[byte] |= 1 << word;
            }
            word += 1;
        }
        byte += 1;
    }
    words
}

/// Case does not matter, and query keys and cookies are spelled with underscores: client_ip, remote_addr.
const fn folded(byte: u8) -> u8 {
    if byte == b'_' { b'-' } else { byte.to_ascii_lowercase() }
}

/// Headers that say how HTTP works and nothing of who uses it: what leaves where only known names do. Those
/// that are URLs lose the values of their queries. Lower case.
const HARMLESS_HEADERS: [&str; 43] = [
    "accept",
    "accept-encoding",
    "accept-language",
    "accept-ranges",
    "age",
    "allow",
    "alt-svc",
    "cache-control",
    "connection",
    "content-encoding",
    "content-language",
    "content-length",
    "content-location",
    "content-range",
    "content-type",
    "date",
    "etag",
    "expect",
    "expires",
    "host",
    "if-match",
    "if-modified-since",
    "if-none-match",
    "if-range",
    "if-unmodified-since",
    "keep-alive",
    "last-modified",
    "location",
    "max-forwards",
    "origin",
    "pragma",
    "range",
    "retry-after",
    "server",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "warning",
    "x-varnish",
    "x-vinyl",
];

pub(super) fn is_harmless_header(name: &[u8]) -> bool {
    HARMLESS_HEADERS.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name))
}

/// Whether `name` has one of the words in it: one of all, or, if it may be `personal`, one of the secrets.
pub(super) fn is_kept_back(name: &[u8], personal: bool) -> bool {
    has_word(name, if personal { ALL_SECRETS } else { u32::MAX })
}

/// Whether `name` has a word in it that points at a person.
pub(super) fn is_personal(name: &[u8]) -> bool {
    has_word(name, !ALL_SECRETS)
}

fn has_word(name: &[u8], wanted: u32) -> bool {
    for (at, begin) in name.windows(3).enumerate() {
        let &[first, second, third] = begin else { continue };
        let pair = FIRST[usize::from(first)] & SECOND[usize::from(second)];
        let mut possible = pair & THIRD[usize::from(third)] & wanted;
        while possible != 0 {
            let word = WORDS.get(possible.trailing_zeros() as usize);
            let rest = name.get(at..).unwrap_or_default();
            if word.is_some_and(|word| starts_with(rest, word)) {
                return true;
            }
            possible &= possible - 1;
        }
    }
    false
}

fn starts_with(text: &[u8], word: &[u8]) -> bool {
    text.len() >= word.len() && text.iter().zip(word).all(|(byte, expected)| folded(*byte) == *expected)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_is_found_anywhere_and_whatever_its_case() {
        for (at, word) in WORDS.into_iter().enumerate() {
            let word = String::from_utf8_lossy(word);
            for name in [word.to_string(), format!("x{}", word.to_uppercase()), format!("se{word}s").replace('-', "_")]
            {
                assert!(is_kept_back(name.as_bytes(), false), "{name}");
                assert_eq!(is_kept_back(name.as_bytes(), true), at < 20, "{name}");
                assert_eq!(is_personal(name.as_bytes()), at >= 20, "{name}");
            }
            assert!(!is_kept_back(&word.as_bytes()[1..], false), "{word}");
        }
    }
}
