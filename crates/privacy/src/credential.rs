// SPDX-License-Identifier: BSD-2-Clause
//! Credentials that no name tells: tokens by their looks, and what stands behind the scheme of an `Authorization`.

use memchr::{memchr, memchr2, memmem};

use crate::spans::Spans;
use crate::syntax::set_of;
use crate::word_list::WordList;

/// Schemes whose names are hardly ever words of a text (IANA's list, and what clouds and forges use).
static SCHEMES: WordList<23> = WordList::new([
    "bearer",
    "basic",
    "negotiate",
    "ntlm",
    "hawk",
    "dpop",
    "hoba",
    "apikey",
    "api-key",
    "aws4-hmac-sha256",
    "sharedkey",
    "sharedkeylite",
    "googlelogin",
    "privatetoken",
    "scram-sha-1",
    "scram-sha-256",
    "vapid",
    "gnap",
    "ssws",
    "sso-key",
    "zoho-oauthtoken",
    "hmac-sha256",
    "privatekey",
]);
/// Schemes that are words as well: what follows has to look like a credential.
static WORDS: WordList<11> = WordList::new([
    "digest",
    "token",
    "oauth",
    "mutual",
    "signature",
    "key",
    "mac",
    "aws",
    "kerberos",
    "jwt",
    "concealed",
]);
/// What follows the name of a scheme in a sentence about it.
static PROSE: WordList<26> = WordList::new([
    "auth",
    "authentication",
    "authorization",
    "token",
    "tokens",
    "realm",
    "scheme",
    "schemes",
    "credentials",
    "challenge",
    "header",
    "failed",
    "failure",
    "expired",
    "invalid",
    "missing",
    "required",
    "error",
    "is",
    "was",
    "not",
    "of",
    "and",
    "or",
    "for",
    "with",
]);
/// How tokens of well-known makers begin.
const PREFIXES: [&str; 41] = [
    "ghp_",
    "gho_",
    "ghu_",
    "ghs_",
    "ghr_",
    "github_pat_",
    "glpat-",
    "xoxb-",
    "xoxp-",
    "xoxa-",
    "xoxs-",
    "sk_live_",
    "rk_live_",
    "sk-ant-",
    "sk-proj-",
    "AKIA",
    "ASIA",
    "AIza",
    "ya29.",
    "hvs.",
    "npm_",
    "pypi-",
    "dop_v1_",
    "shpat_",
    "whsec_",
    "xoxe-",
    "xoxr-",
    "xapp-",
    "sk_test_",
    "rk_test_",
    "sk-svcacct-",
    "sk-or-v1-",
    "sntrys_",
    "sntryu_",
    "glptt-",
    "glrt-",
    "dckr_pat_",
    "lin_api_",
    "hf_",
    "SG.",
    "ATATT3",
];
/// No shorter one is a token of those.
pub(crate) const MIN_TOKEN: usize = 16;
/// Bytes of a token that tell whether it is one.
const MAX_TELLING: usize = 128;
/// Bytes of the longest scheme.
const MAX_SCHEME: usize = 16;

/// Whether one of the prefixes begins with the byte.
static PREFIX: [bool; 256] = set_of(b"ghxsrAyndpwlS");
/// What a credential behind a scheme is made of: token68, and what a sloppy one has.
static CREDENTIAL: [bool; 256] =
    set_of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/=:!$%*@#|^{}[]()?\\");
static JWT: [bool; 256] = set_of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_=.");

/// Whether `value` begins as the value of an `Authorization` does.
pub(crate) fn begins_with_scheme(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    if !value.first().is_some_and(u8::is_ascii_alphabetic) {
        return false;
    }
    let head = value.get(..=MAX_SCHEME).unwrap_or(value);
    let Some((scheme, rest)) = memchr2(b' ', b'\t', head).and_then(|end| value.split_at_checked(end)) else {
        return false;
    };
    let word = rest.trim_ascii_start().split(|byte| is_blank(*byte)).next().unwrap_or_default();
    SCHEMES.has(scheme) && !word.is_empty() && !PROSE.has(word)
}

/// Hides every JSON web token, whole or cut: two dots tell one, and with one it is half of one.
pub(crate) fn web_tokens(text: &[u8], spans: &mut Spans) {
    let mut at = 0;
    // The rarest of the three letters that `{"` begins with.
    while let Some(found) = text.get(at..).and_then(|rest| memchr(b'J', rest)) {
        at += found + 1;
        let Some(start) = at.checked_sub(3).filter(|start| text.get(*start..at) == Some(b"eyJ")) else { continue };
        let token = text.get(start..).unwrap_or_default();
        let len = token.iter().position(|byte| !JWT[usize::from(*byte)]).unwrap_or(token.len());
        let token = token.get(..len).unwrap_or_default();
        if token.contains(&b'.') && !token.ends_with(b".") || token.iter().filter(|byte| **byte == b'.').count() > 1 {
            spans.hide(start, start + len);
        }
        at = start + len;
    }
}

/// Whether `word` is a token by the way it begins.
pub(crate) fn is_known_token(word: &[u8]) -> bool {
    word.len() >= MIN_TOKEN
        && word.first().is_some_and(|first| PREFIX[usize::from(*first)])
        && PREFIXES.iter().any(|prefix| word.starts_with(prefix.as_bytes()))
}

/// Whether `word` is a scheme, and if so, whether it is a word as well.
pub(crate) fn scheme(word: &[u8]) -> Option<bool> {
    if word.len() > MAX_SCHEME {
        return None;
    }
    if SCHEMES.has(word) { Some(false) } else { WORDS.has(word).then_some(true) }
}

/// Where the credential behind a scheme that ends at `at` is, if there is one; `is_word` is what [`scheme`] says.
pub(crate) fn behind_scheme(text: &[u8], at: usize, is_word: bool) -> Option<(usize, usize)> {
    // As a query has a blank, or as it is.
    let start = if text.get(at) == Some(&b'+') { at + 1 } else { skip_blanks(text, at) };
    if start == at {
        return None;
    }
    // Behind every word that may be a scheme: what tells is at the begin.
    let mut end = token_end(text.get(..start + MAX_TELLING).unwrap_or(text), start);
    let token = text.get(start..end).unwrap_or_default();
    let is_list = token.contains(&b'=') && (text.get(end) == Some(&b'"') || text.get(end) == Some(&b','));
    let looks = token.len() > 5 && token.iter().any(u8::is_ascii_digit);
    let is_word_in_front = token.strip_suffix(b":").is_some_and(|word| word.iter().all(u8::is_ascii_alphabetic));
    // Key (column)=(value), as a database says it.
    let is_column = token.starts_with(b"(") && memmem::find(token, b")=").is_some();
    let is_prose = PROSE.has(token) || token.len() < 2 || is_word_in_front || is_column;
    if !is_list && (is_word && !looks || is_prose) {
        return None;
    }
    end = token_end(text, end);
    // Of a list of parameters, all of them.
    loop {
        if text.get(end) == Some(&b'"') {
            let rest = text.get(end + 1..).unwrap_or_default();
            end += 1 + rest.iter().position(|byte| *byte == b'"').map_or(rest.len(), |quote| quote + 1);
        }
        if text.get(end) != Some(&b',') {
            break;
        }
        let next = skip_blanks(text, end + 1);
        let after = token_end(text, next);
        if !text.get(next..after).is_some_and(|name| name.contains(&b'=')) {
            break;
        }
        end = after;
    }
    Some((start, end))
}

fn token_end(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().position(|byte| !CREDENTIAL[usize::from(*byte)]).unwrap_or(rest.len())
}

fn skip_blanks(text: &[u8], start: usize) -> usize {
    let rest = text.get(start..).unwrap_or_default();
    start + rest.iter().take_while(|byte| is_blank(**byte)).count()
}

fn is_blank(byte: u8) -> bool {
    matches!(byte, b' ' | b'\t')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_web_token_is_found_anywhere_and_half_a_one_too() {
        for (text, kept) in [
            ("a eyJh.eyJz.c2 b", "a [Filtered] b"),
            ("(eyJh.eyJz)", "([Filtered])"),
            ("x-eyJh.e.y.J.z", "x-[Filtered]"),
            ("eyJhIjoxfQ==", "eyJhIjoxfQ=="),
            ("see eyJhIjox.", "see eyJhIjox."),
        ] {
            let mut spans = Spans::default();
            web_tokens(text.as_bytes(), &mut spans);
            assert_eq!(String::from_utf8_lossy(&spans.apply(text.as_bytes())), kept);
        }
    }

    #[test]
    fn behind_a_scheme_stands_a_credential_unless_it_is_a_sentence() {
        let end = |text: &str| {
            let at = text.find([' ', '+']).unwrap();
            let is_word = scheme(&text.as_bytes()[..at]).unwrap();
            behind_scheme(text.as_bytes(), at, is_word).map(|(_, end)| text[end..].to_owned())
        };
        for (text, rest) in [
            ("Bearer abc, next", Some(", next")),
            ("Digest username=\"a b\", realm=x, response=\"c\" end", Some(" end")),
            ("token abc123 end", Some(" end")),
            ("Hawk id=\"a\", mac=\"b\"", Some("")),
            ("Basic\u{20} dTpw", Some("")),
            ("Bearer+abc&x", Some("&x")),
            ("Basic a1b#.:&x", Some("&x")),
            ("Bearer token: none", None),
            ("Basic realm: none", None),
            ("Bearer token expired", None),
            ("token expired", None),
            ("key 404", None),
            ("Key (number)=(404)", None),
            ("Digest mismatch", None),
        ] {
            assert_eq!(end(text).as_deref(), rest, "{text}");
        }
        assert!(begins_with_scheme(b" bearer x") && !begins_with_scheme(b"bearer ") && !begins_with_scheme(b"token x"));
        assert!(is_known_token(b"ghp_0123456789abcdef") && !is_known_token(b"ghp_short"));
    }
}
