// SPDX-License-Identifier: BSD-2-Clause
//! Header lines of a request that are an entry's own: what its sender said of itself, for a server that is asked on its behalf.
//!
//! They come from outside, so only what cannot end a line is taken, and no more than is of use.

/// The headers there may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderName {
    /// Relay believes it before `X-Forwarded-For`.
    ForwardedFor,
    /// Projects have a list of those they take.
    Origin,
    /// What Sentry takes for an origin where there is none.
    Referer,
    UserAgent,
}

impl HeaderName {
    pub const ALL: [HeaderName; 4] =
        [HeaderName::ForwardedFor, HeaderName::Origin, HeaderName::Referer, HeaderName::UserAgent];

    /// The name on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            HeaderName::ForwardedFor => "X-Sentry-Forwarded-For",
            HeaderName::Origin => "Origin",
            HeaderName::Referer => "Referer",
            HeaderName::UserAgent => "User-Agent",
        }
    }

    /// Bytes of a value, at most.
    fn limit(self) -> usize {
        match self {
            HeaderName::ForwardedFor => 64,
            HeaderName::Origin => 300,
            HeaderName::Referer => 1024,
            HeaderName::UserAgent => 512,
        }
    }
}

/// Some header lines, each name at most once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RequestHeaders {
    /// `Name: value`, each with a line feed behind it.
    lines: String,
}

impl RequestHeaders {
    /// Adds a line; `false`, and nothing is added, for a value that is empty, not of printable ASCII or too long, and for a name that is there. A `User-Agent` that is too long is cut.
    pub fn add(&mut self, name: HeaderName, value: &[u8]) -> bool {
        let value = value.trim_ascii();
        let limit = name.limit();
        let value =
            if name == HeaderName::UserAgent { value.get(..limit).unwrap_or(value).trim_ascii() } else { value };
        let is_plain = value.iter().all(|byte| (b' '..=b'~').contains(byte));
        let Ok(text) = str::from_utf8(value) else { return false };
        if text.is_empty() || text.len() > limit || !is_plain || self.get(name).is_some() {
            return false;
        }
        self.lines.reserve(name.as_str().len() + text.len() + 3);
        [name.as_str(), ": ", text, "\n"].into_iter().for_each(|piece| self.lines.push_str(piece));
        true
    }

    /// The value of a header.
    pub fn get(&self, name: HeaderName) -> Option<&str> {
        self.iter().find_map(|(of, value)| (of == name).then_some(value))
    }

    /// Names and values in the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = (HeaderName, &str)> {
        self.lines.lines().filter_map(parse)
    }

    pub fn is_empty(&self) -> bool {
        self.lines.is_empty()
    }

    /// All lines as one text, from which [`RequestHeaders::from_text`] makes them again.
    pub fn as_text(&self) -> &str {
        &self.lines
    }

    /// The lines of a text that was made here; `None` for any other.
    pub fn from_text(text: &str) -> Option<RequestHeaders> {
        let mut headers = RequestHeaders::default();
        for line in text.lines() {
            let (name, value) = parse(line)?;
            if !headers.add(name, value.as_bytes()) {
                return None;
            }
        }
        (headers.lines == text).then_some(headers)
    }

    /// The memory it takes besides itself, in bytes.
    pub fn len_bytes(&self) -> usize {
        self.lines.capacity()
    }
}

fn parse(line: &str) -> Option<(HeaderName, &str)> {
    let (name, value) = line.split_once(": ")?;
    HeaderName::ALL.into_iter().find(|known| known.as_str() == name).map(|name| (name, value))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_what_is_one_short_line_is_added() {
        let table: &[(HeaderName, &str, Option<&str>)] = &[
            (HeaderName::ForwardedFor, "2001:db8::1", Some("2001:db8::1")),
            (HeaderName::Origin, " https://shop.example \t", Some("https://shop.example")),
            (HeaderName::Origin, "https://a\r\nX-Evil: 1", None),
            (HeaderName::Origin, "https://a\nb", None),
            (HeaderName::Origin, "https://a\0b", None),
            (HeaderName::Origin, "https://\u{e9}", None),
            (HeaderName::Origin, "", None),
            (HeaderName::Origin, " ", None),
            (HeaderName::Referer, "https://shop.example/a: b", Some("https://shop.example/a: b")),
        ];
        for (name, value, expected) in table {
            let mut headers = RequestHeaders::default();
            assert_eq!(headers.add(*name, value.as_bytes()), expected.is_some(), "{value:?}");
            assert_eq!(headers.get(*name), *expected);
            assert_eq!(headers.is_empty(), expected.is_none());
        }
    }

    #[test]
    fn a_name_is_there_once_and_what_is_too_long_is_cut_or_left_out() {
        let mut headers = RequestHeaders::default();
        assert!(headers.add(HeaderName::UserAgent, "x".repeat(600).as_bytes()));
        assert!(
            !headers.add(HeaderName::UserAgent, b"y") && !headers.add(HeaderName::Origin, "x".repeat(301).as_bytes())
        );
        assert_eq!(headers.as_text(), format!("User-Agent: {}\n", "x".repeat(512)));
        assert!(headers.add(HeaderName::Origin, b"null"));
        assert_eq!(
            headers.iter().map(|(name, value)| (name, value.len())).collect::<Vec<_>>(),
            [(HeaderName::UserAgent, 512), (HeaderName::Origin, 4)]
        );
        assert_eq!(RequestHeaders::from_text(headers.as_text()), Some(headers));
        for text in ["Origin: a", "Origin: a\n\n", "Origin: a\nOrigin: b\n", "Host: a\n", "Origin:a\n", "Origin:  a\n"]
        {
            assert_eq!(RequestHeaders::from_text(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_comes_from_outside_never_makes_a_line_of_its_own(values: [Vec<u8>; 4], text: String) {
            let mut headers = RequestHeaders::default();
            let added = HeaderName::ALL.into_iter().zip(&values).filter(|(name, value)| headers.add(*name, value)).count();
            prop_assert_eq!(headers.as_text().lines().count(), added);
            prop_assert_eq!(headers.iter().count(), added);
            prop_assert!(headers.as_text().bytes().all(|byte| byte == b'\n' || (b' '..=b'~').contains(&byte)));
            prop_assert_eq!(RequestHeaders::from_text(headers.as_text()), Some(headers));
            let read = RequestHeaders::from_text(&text);
            prop_assert!(read.is_none_or(|read| read.as_text() == text));
        }
    }
}
