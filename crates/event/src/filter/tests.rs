// SPDX-License-Identifier: BSD-2-Clause
use super::*;

#[test]
fn a_record_keeps_its_words_and_loses_its_secrets() {
    let strict = Filter::from(Scrub::new(false));
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
    let open = Filter::from(Scrub::new(true));
    assert_eq!(open.log_record(Content::ClientAddress, b"192.0.2.7 40000 a0"), "192.0.2.7 40000 a0");
    assert_eq!(open.log_record(Content::Header, b"Cookie: lang=de; sid=s3"), "Cookie: lang=de; sid=[Filtered]");
}

#[test]
fn what_was_cut_within_a_secret_shows_nothing_of_it() {
    let open = Filter::from(Scrub::new(true));
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
    assert_eq!(Content::from_number(6), None);
}
