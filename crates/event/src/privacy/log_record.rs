// SPDX-License-Identifier: BSD-2-Clause
//! Records of a log that is not ours, kept free of secrets: whoever reads the log tells what a record
//! holds, and that tells what of it may leave.
//!
//! A record may have been cut by whoever wrote it, so an end is never needed to tell a secret.

use std::borrow::Cow;

use protocol::header::parse;
use protocol::text::line;

use crate::capture::content::Content;
use crate::privacy::scrub::Scrub;
use crate::privacy::secret::FILTERED;
use crate::privacy::userinfo::without_cut_userinfo;

/// Characters kept of a record.
const MAX_RECORD: usize = 1024;

impl Scrub<'_> {
    /// A record that holds `content`, as one line that may leave.
    pub fn log_record(self, content: Content, text: &[u8]) -> String {
        line(&without_cut_userinfo(&shown(content, text, self)), MAX_RECORD).into_owned()
    }
}

fn shown<'a>(content: Content, text: &'a [u8], scrub: Scrub<'_>) -> Cow<'a, [u8]> {
    match content {
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
            assert_eq!(strict.log_record(content, text.as_bytes()), shown, "{content:?}");
        }
    }

    #[test]
    fn with_personal_data_allowed_the_client_is_shown_and_secrets_are_not() {
        let open = Scrub::new(true);
        assert_eq!(open.log_record(Content::ClientAddress, b"192.0.2.7 40000 a0"), "192.0.2.7 40000 a0");
        assert_eq!(open.log_record(Content::Header, b"Cookie: lang=de; sid=s3"), "Cookie: lang=de; sid=[Filtered]");
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
            assert_eq!(open.log_record(content, text.as_bytes()), shown);
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
