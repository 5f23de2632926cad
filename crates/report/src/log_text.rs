// SPDX-License-Identifier: BSD-2-Clause
//! Records of a log that is not ours, kept free of secrets: whoever reads the log tells what a record
//! holds, and that tells what of it may leave.
//!
//! A record may have been cut by whoever wrote it, so an end is never needed to tell a secret.

use std::borrow::Cow;

use crate::headers::parse;
use crate::scrub::{FILTERED, Scrub};
use crate::text::line;

/// Characters kept of a record.
const MAX_RECORD: usize = 1024;

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Content {
    Text = 0,
    /// A header line, `Name: text`.
    Header,
    Url,
    /// A text that begins with the client's address.
    ClientAddress,
    /// A text about something that made no sense, and maybe a piece of it.
    Fragment,
}

impl Content {
    const ALL: [Content; 5] = [Content::Text, Content::Header, Content::Url, Content::ClientAddress, Content::Fragment];

    /// The content that `number` stands for.
    pub(crate) fn from_number(number: u8) -> Option<Content> {
        Content::ALL.get(usize::from(number)).copied()
    }

    /// `text` as one line that may leave.
    pub(crate) fn show(self, text: &[u8], scrub: Scrub<'_>) -> String {
        line(&without_cut_userinfo(&self.scrub(text, scrub)), MAX_RECORD).into_owned()
    }

    fn scrub<'a>(self, text: &'a [u8], scrub: Scrub<'_>) -> Cow<'a, [u8]> {
        match self {
            Content::Text => scrub.text(text),
            Content::Header => match parse(text) {
                Some((name, value)) => Cow::Owned([name, b": ", &scrub.header(name, cut_token(value))].concat()),
                None => scrub.text(text),
            },
            Content::Url => scrub.url(text),
            Content::ClientAddress if scrub.sends_pii() => Cow::Borrowed(text),
            Content::ClientAddress => hide(text, 0, text.iter().position(|byte| *byte == b' ')),
            Content::Fragment => match text.iter().position(|byte| b":=?@".contains(byte)) {
                Some(at) => hide(text, at + 1, None),
                None => Cow::Borrowed(text),
            },
        }
    }
}

/// `text` with what is between `from` and `to`, or the end, hidden.
fn hide(text: &[u8], from: usize, to: Option<usize>) -> Cow<'_, [u8]> {
    let tail = to.and_then(|to| text.get(to..)).unwrap_or_default();
    Cow::Owned([text.get(..from).unwrap_or_default(), FILTERED, tail].concat())
}

/// A JSON web token is told by its two dots; of one that was cut, what is there is taken for all of it.
fn cut_token(value: &[u8]) -> &[u8] {
    let is_cut = value.starts_with(b"eyJ") && value.iter().filter(|byte| **byte == b'.').count() == 1;
    if is_cut { b"eyJ.." } else { value }
}

/// `text` without what may be the first half of `user:password@` at its end.
pub(crate) fn without_cut_userinfo(text: &[u8]) -> Cow<'_, [u8]> {
    let Some(at) = text.windows(2).rposition(|pair| pair == b"//") else { return Cow::Borrowed(text) };
    let authority = text.get(at + 2..).unwrap_or_default();
    let is_last = !authority.iter().any(|byte| b"/\\?#\"<>[".contains(byte) || byte.is_ascii_whitespace());
    let password = authority.iter().position(|byte| *byte == b':').and_then(|colon| authority.get(colon + 1..));
    let is_port = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    if is_last && password.is_some_and(|word| !is_port(word)) { hide(text, at + 2, None) } else { Cow::Borrowed(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_keeps_its_words_and_loses_its_secrets() {
        let strict = Scrub::new(false);
        for (content, text, shown) in [
            (Content::Text, "http first read error: EOF", "http first read error: EOF"),
            (Content::Text, "login password=s3 failed", "login password=[Filtered] failed"),
            (Content::Text, "see http://u:s3@h/x", "see http://h/x"),
            (Content::Header, "Authorization: Basic s3", "Authorization: [Filtered]"),
            (Content::Header, "Cookie: a=s3; b=s3", "Cookie: a=[Filtered]; b=[Filtered]"),
            (Content::Header, "X-Forwarded-For: 192.0.2.7", "X-Forwarded-For: [Filtered]"),
            (Content::Header, "Referer: http://h/?token=s3&a=b", "Referer: http://h/?token=[Filtered]&a=b"),
            (Content::Header, "Accept: text/html", "Accept: text/html"),
            (Content::Header, "X-Name", "X-Name"),
            (Content::Url, "/a?api_key=s3&page=2", "/a?api_key=[Filtered]&page=2"),
            (Content::ClientAddress, "192.0.2.7 40000 a0", "[Filtered] 40000 a0"),
            (Content::ClientAddress, "192.0.2.7", "[Filtered]"),
            (Content::Fragment, "Duplicate Host header", "Duplicate Host header"),
            (Content::Fragment, "Missing header name: : s3", "Missing header name:[Filtered]"),
            (Content::Fragment, "GET /?s3", "GET /?[Filtered]"),
            (Content::Text, "a\r\nb\0", "a  b"),
        ] {
            assert_eq!(content.show(text.as_bytes(), strict), shown, "{content:?}");
        }
    }

    #[test]
    fn with_personal_data_allowed_the_client_is_shown_and_secrets_are_not() {
        let open = Scrub::new(true);
        assert_eq!(Content::ClientAddress.show(b"192.0.2.7 40000 a0", open), "192.0.2.7 40000 a0");
        assert_eq!(Content::Header.show(b"Cookie: lang=de; sid=s3", open), "Cookie: lang=de; sid=[Filtered]");
    }

    #[test]
    fn what_was_cut_within_a_secret_shows_nothing_of_it() {
        let open = Scrub::new(true);
        for (content, text, shown) in [
            (Content::Header, "Referer: https://ada:s3cr", "Referer: https://[Filtered]"),
            (Content::Text, "from http://ada:s3", "from http://[Filtered]"),
            (Content::Text, "from http://h:8080", "from http://h:8080"),
            (Content::Text, "from http://h", "from http://h"),
            (Content::Text, "from http://[::1]:80", "from http://[::1]:80"),
            (Content::Header, "X-A: eyJhbGciOi.eyJzdWIi", "X-A: [Filtered]"),
            (Content::Header, "X-A: eyJhbGciOi", "X-A: eyJhbGciOi"),
            (Content::Url, "/?token=s3c", "/?token=[Filtered]"),
        ] {
            assert_eq!(content.show(text.as_bytes(), open), shown);
        }
    }

    #[test]
    fn every_content_has_a_number() {
        for content in Content::ALL {
            assert_eq!(Content::from_number(content as u8), Some(content));
        }
        assert_eq!(Content::from_number(5), None);
    }
}
