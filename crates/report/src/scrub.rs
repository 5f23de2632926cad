// SPDX-License-Identifier: BSD-2-Clause
//! Keeps secrets on the machine: what of a request and a response may leave, and in which form.
//!
//! The names are Sentry's list for SDKs (Expected Features, "Sensitive Data"), matched as it says: anywhere
//! in a name, whatever the case. So `monkey` and `keyword` are hidden too (they contain `key`), and
//! `Accept-Encoding` is not. Names stay, values become `[Filtered]`. Sentry's own scrubbing is no net: it
//! passes `Set-Cookie`, `sid`, `X-Session-Id`, `X-Jwt`, `X-Key` and `user:pass@` in a URL.
//!
//! Only what comes from the wire goes through here; what a VCL author sets is the author's.

mod body;
mod names;

use std::borrow::Cow;

use crate::percent;
pub(crate) use body::Body;

/// What a hidden value becomes.
pub(crate) const FILTERED: &[u8] = b"[Filtered]";

/// Request and response headers whose whole value is a URL, next to all that end in `-url` and `-uri`.
const URL_HEADERS: [&[u8]; 5] = [b"referer", b"origin", b"location", b"content-location", b"destination"];

/// How often a value is percent-decoded to look into it: a login page's return address is encoded once,
/// twice when it passed another login page. What is encoded deeper is hidden unread.
const MAX_DEPTH: usize = 3;

/// The rule of one client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Scrub {
    send_pii: bool,
}

/// How a text is read.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    /// A URL and nothing else: pairs stand behind the path.
    Url,
    /// Any text, in which URLs and pairs may stand.
    Text,
}

static ENDS_URL_PAIR: [bool; 256] = set_of(b"?#&;");
static ENDS_TEXT_PAIR: [bool; 256] = set_of(b"?#&;\"<> \t\n\x0c\r");

/// A set of bytes: every byte of every event asks.
const fn set_of(members: &[u8]) -> [bool; 256] {
    let mut set = [false; 256];
    let mut at = 0;
    while at < members.len() {
        set[members[at] as usize] = true;
        at += 1;
    }
    set
}

impl Form {
    /// Whether `byte` ends a pair.
    fn ends_pair(self, byte: u8) -> bool {
        let ends = match self {
            Form::Url => &ENDS_URL_PAIR,
            Form::Text => &ENDS_TEXT_PAIR,
        };
        ends[usize::from(byte)]
    }

    /// Where the next authority starts. A path may have two slashes in a row, so in a URL only those behind
    /// a scheme count.
    fn next_authority(self, text: &[u8], from: usize) -> Option<usize> {
        let mark: &[u8] = if self == Form::Url { b"://" } else { b"//" };
        let found = text.get(from..)?.windows(mark.len()).position(|window| window == mark)?;
        Some(from + found + mark.len())
    }

    /// Whether `byte` ends the authority of a URL.
    fn ends_authority(self, byte: u8) -> bool {
        b"/\\?#".contains(&byte) || self == Form::Text && (b"\"<>".contains(&byte) || byte.is_ascii_whitespace())
    }
}

impl Scrub {
    /// `send_pii` lets through what points at a person: client addresses, users, and the values of cookies
    /// that do not look like secrets.
    pub fn new(send_pii: bool) -> Scrub {
        Scrub { send_pii }
    }

    /// Whether data that points at a person may leave.
    pub fn sends_pii(self) -> bool {
        self.send_pii
    }

    /// Whether the value of `name` (a header, a cookie, a query key) must not leave. A percent-encoded name
    /// is read as the server reads it.
    pub fn hides(self, name: &[u8]) -> bool {
        let mut name = Cow::Borrowed(name);
        for _ in 0..MAX_DEPTH {
            let Cow::Owned(decoded) = percent::decode(&name) else { break };
            name = Cow::Owned(decoded);
        }
        names::is_kept_back(&name, self.send_pii)
    }

    /// The value of header `name` as it may leave.
    pub fn header<'a>(self, name: &[u8], value: &'a [u8]) -> Cow<'a, [u8]> {
        let is = |known: &[u8]| name.eq_ignore_ascii_case(known);
        if is(b"cookie") {
            return Cow::Owned(self.cookies(value));
        }
        if is(b"set-cookie") {
            return Cow::Owned(set_cookie(value));
        }
        if self.hides(name) || is_credential(value) {
            return Cow::Borrowed(FILTERED);
        }
        if is(b"host") {
            let host = value.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
            return self.scrub(host, Form::Text, 0);
        }
        let is_url = URL_HEADERS.into_iter().any(is) || ends_in_url(name);
        self.scrub(value, if is_url { Form::Url } else { Form::Text }, 0)
    }

    /// A URL, or the target of a request line, as it may leave: without user and password, and without the
    /// values of sensitive keys behind its path.
    pub fn url(self, url: &[u8]) -> Cow<'_, [u8]> {
        self.scrub(url, Form::Url, 0)
    }

    /// The value of `Cookie`. Cookies point at a person, so without PII no value passes; what is no pair
    /// never does.
    fn cookies(self, value: &[u8]) -> Vec<u8> {
        let mut out = Vec::with_capacity(value.len());
        for cookie in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).filter(|cookie| !cookie.is_empty()) {
            if !out.is_empty() {
                out.extend_from_slice(b"; ");
            }
            match split_pair(cookie) {
                Some((name, value)) if self.send_pii && !self.hides_cookie(name, value) => {
                    out.extend_from_slice(cookie);
                }
                Some((name, _)) => hide(name, &mut out),
                None => out.extend_from_slice(FILTERED),
            }
        }
        out
    }

    fn hides_cookie(self, name: &[u8], value: &[u8]) -> bool {
        !value.is_empty() && (self.hides(name) || is_credential(value) || self.carries_secret(value, 0))
    }

    fn scrub(self, text: &[u8], form: Form, depth: usize) -> Cow<'_, [u8]> {
        match without_userinfo(text, form) {
            Cow::Borrowed(text) => self.pairs(text, form, depth),
            Cow::Owned(text) => Cow::Owned(self.pairs(&text, form, depth).into_owned()),
        }
    }

    /// Replaces the values of sensitive keys.
    fn pairs(self, text: &[u8], form: Form, depth: usize) -> Cow<'_, [u8]> {
        if !text.iter().any(|byte| b"=%".contains(byte)) {
            // No name, and nothing encoded: most headers.
            return Cow::Borrowed(text);
        }
        let mut out = Vec::new();
        let mut copied = 0;
        let mut pairs = Pairs { scrub: self, text, at: 0, form };
        while let Some(pair) = pairs.next_pair() {
            let hidden = match pair.name {
                Some(_) if pair.sensitive => !pair.value.is_empty(),
                Some(_) => is_credential(pair.value) || self.carries_secret(pair.value, depth),
                None => percent::is_encoded(pair.value) && self.carries_secret(pair.value, depth),
            };
            if hidden {
                out.extend_from_slice(text.get(copied..pair.value_at).unwrap_or_default());
                out.extend_from_slice(FILTERED);
                copied = pair.value_at + pair.value.len();
            }
        }
        if copied == 0 {
            return Cow::Borrowed(text);
        }
        out.extend_from_slice(text.get(copied..).unwrap_or_default());
        Cow::Owned(out)
    }

    /// Whether `value` is itself a URL or a list of pairs with something to hide in it, encoded or not.
    fn carries_secret(self, value: &[u8], depth: usize) -> bool {
        let encoded = percent::is_encoded(value);
        if depth == MAX_DEPTH {
            return encoded || value.contains(&b'=') && self.hides(value);
        }
        if !encoded && !value.iter().any(|byte| b"=@".contains(byte)) {
            return false;
        }
        let decoded = percent::decode(value);
        is_credential(&decoded) || matches!(self.scrub(&decoded, Form::Text, depth + 1), Cow::Owned(_))
    }
}

/// `name=value`, or a value alone, somewhere in a text.
struct Pair<'a> {
    name: Option<&'a [u8]>,
    sensitive: bool,
    value: &'a [u8],
    value_at: usize,
}

/// A walk over the pairs of a text.
struct Pairs<'a> {
    scrub: Scrub,
    text: &'a [u8],
    at: usize,
    form: Form,
}

impl<'a> Pairs<'a> {
    fn next_pair(&mut self) -> Option<Pair<'a>> {
        if self.at == 0 && self.form == Form::Url {
            // A path is no pair, even with a '=' in it.
            self.at = self.end_from(0, |byte| self.form.ends_pair(byte));
        }
        while self.text.get(self.at).is_some_and(|byte| self.form.ends_pair(*byte)) {
            self.at += 1;
        }
        if self.at >= self.text.len() {
            return None;
        }
        let start = self.at;
        let name_end = self.end_from(start, |byte| byte == b'=' || self.form.ends_pair(byte));
        if self.text.get(name_end) != Some(&b'=') {
            self.at = name_end;
            let value = self.slice(start, name_end);
            return Some(Pair { name: None, sensitive: false, value, value_at: start });
        }
        let name = self.slice(start, name_end);
        let sensitive = self.scrub.hides(name);
        let value_at = name_end + 1;
        let mut close = value_at;
        if sensitive && self.form == Form::Text {
            // name= "value": the quotes may hold what would end a pair. A quote behind any other name may
            // as well be the end of an earlier one, and would hide the pairs behind it from us.
            close = self.end_from(value_at, |byte| !byte.is_ascii_whitespace());
            if let Some(quote @ (b'"' | b'\'')) = self.text.get(close) {
                close = self.end_from(close + 1, |byte| byte == *quote) + 1;
            }
        }
        self.at = self.end_from(close, |byte| self.form.ends_pair(byte));
        Some(Pair { name: Some(name), sensitive, value: self.slice(value_at, self.at), value_at })
    }

    fn end_from(&self, start: usize, ends: impl Fn(u8) -> bool) -> usize {
        let rest = self.text.get(start..).unwrap_or_default();
        start.min(self.text.len()) + rest.iter().position(|byte| ends(*byte)).unwrap_or(rest.len())
    }

    fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.get(start..end).unwrap_or_default()
    }
}

/// `value` of `Set-Cookie` with its attributes, which say how the cookie is kept, but without what it holds.
/// An attribute with a '=' in its value is no attribute but a second cookie, folded into the line.
fn set_cookie(value: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(value.len());
    for (index, part) in value.split(|byte| *byte == b';').map(<[u8]>::trim_ascii).enumerate() {
        if index > 0 {
            out.extend_from_slice(b"; ");
        }
        match split_pair(part) {
            Some((_, value)) if index > 0 && !value.contains(&b'=') => out.extend_from_slice(part),
            Some((name, _)) => hide(name, &mut out),
            None if index > 0 => out.extend_from_slice(part),
            None => out.extend_from_slice(FILTERED),
        }
    }
    out
}

/// `text` without the `user:password@` of any URL in it.
fn without_userinfo(text: &[u8], form: Form) -> Cow<'_, [u8]> {
    if !text.contains(&b'@') {
        return Cow::Borrowed(text);
    }
    let mut out = Vec::new();
    let mut copied = 0;
    let mut start = (form == Form::Url && text.starts_with(b"//")).then_some(2);
    let mut searched = 0;
    while let Some(authority_at) = start.take().or_else(|| form.next_authority(text, searched)) {
        let rest = text.get(authority_at..).unwrap_or_default();
        let len = rest.iter().position(|byte| form.ends_authority(*byte)).unwrap_or(rest.len());
        let (mut authority, _) = rest.split_at_checked(len).unwrap_or_default();
        if has_bad_port(authority) && !authority.contains(&b'@') {
            // Half a password: the other half has a character that should have been encoded.
            let ends = |byte: &u8| form == Form::Text && byte.is_ascii_whitespace();
            authority = rest.split(ends).next().unwrap_or_default();
        }
        // Onwards from the '@', or past all that was searched for one: no byte is looked at many times.
        searched = authority_at + authority.len();
        if let Some(at) = authority.iter().rposition(|byte| *byte == b'@') {
            out.extend_from_slice(text.get(copied..authority_at).unwrap_or_default());
            copied = authority_at + at + 1;
            searched = copied;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

fn has_bad_port(authority: &[u8]) -> bool {
    match authority.iter().rposition(|byte| b":]".contains(byte)) {
        Some(at) => authority.get(at) == Some(&b':') && !authority.iter().skip(at + 1).all(u8::is_ascii_digit),
        None => false,
    }
}

/// Whether `value` is a secret by its looks, whatever it is called: a JSON web token, or what belongs into
/// `Authorization`.
fn is_credential(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    let is_jwt = value.starts_with(b"eyJ") && value.iter().filter(|byte| **byte == b'.').count() >= 2;
    let has_scheme =
        |scheme: &[u8]| value.split_at_checked(scheme.len()).is_some_and(|(head, _)| head.eq_ignore_ascii_case(scheme));
    is_jwt || has_scheme(b"bearer ") || has_scheme(b"basic ")
}

/// A pair as it may leave.
fn hide(name: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(name);
    out.push(b'=');
    out.extend_from_slice(FILTERED);
}

fn ends_in_url(name: &[u8]) -> bool {
    name.last_chunk::<4>().is_some_and(|end| end.eq_ignore_ascii_case(b"-url") || end.eq_ignore_ascii_case(b"-uri"))
}

fn split_pair(text: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|byte| *byte == b'=')?;
    Some((text.get(..at)?, text.get(at + 1..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Scrub = Scrub { send_pii: false };
    const OPEN: Scrub = Scrub { send_pii: true };

    fn header(scrub: Scrub, line: &str) -> String {
        let (name, value) = line.split_once(": ").unwrap();
        String::from_utf8_lossy(&scrub.header(name.as_bytes(), value.as_bytes())).into_owned()
    }

    fn url(text: &str) -> String {
        String::from_utf8_lossy(&STRICT.url(text.as_bytes())).into_owned()
    }

    #[test]
    fn a_header_with_a_sensitive_name_keeps_nothing_of_its_value() {
        for name in [
            "Authorization",
            "Proxy-Authorization",
            "WWW-Authenticate",
            "authentication-info",
            "X-Api-Key",
            "X-Key",
            "x-jwt",
            "X-Session-Id",
            "X-CSRFToken",
            "X-XSRF-TOKEN",
            "X-Amz-Security-Token",
            "Cookie2",
            "X-Original-Cookie",
            "X-SAML-Response",
            "Sec-WebSocket-Key",
            "X-Monkey",
        ] {
            for scrub in [STRICT, OPEN] {
                assert_eq!(header(scrub, &format!("{name}: s3cr3t")), "[Filtered]", "{name}");
            }
        }
    }

    #[test]
    fn a_header_that_points_at_a_person_leaves_only_with_pii() {
        for name in [
            "X-Forwarded-For",
            "X-Forwarded-Proto",
            "Forwarded",
            "X-Real-IP",
            "CF-Connecting-IP",
            "client_ip",
            "Remote-Addr",
            "REMOTE_ADDR",
            "Via",
            "X-Remote-User",
        ] {
            assert_eq!(header(STRICT, &format!("{name}: 192.0.2.1")), "[Filtered]", "{name}");
            assert_eq!(header(OPEN, &format!("{name}: 192.0.2.1")), "192.0.2.1", "{name}");
        }
    }

    #[test]
    fn an_ordinary_header_stays_as_it_is() {
        for line in [
            "Host: shop.example:8080",
            "User-Agent: Mozilla/5.0 (compatible; Bot/1.0; +http://bot.example/)",
            "Accept: text/html,application/xhtml+xml;q=0.9,*/*;q=0.8",
            "Accept-Encoding: gzip, deflate, identity;q=1",
            "Content-Type: multipart/form-data; boundary=----WebKitFormBoundary",
            "Referer: https://shop.example/a=b/c?page=2#top",
            "Location: /next?page=3",
            "Link: <https://shop.example/style.css?v=100%>; rel=preload; as=style",
            "Cache-Control: private, s-maxage=60, stale-while-revalidate=10",
            "If-None-Match: W/\"abc==\"",
            "Sec-CH-UA-Mobile: ?0",
            "Keep-Alive: timeout=5, max=100",
            "X-Varnish: 32770 32769",
        ] {
            assert_eq!(header(STRICT, line), line.split_once(": ").unwrap().1);
        }
    }

    #[test]
    fn a_value_that_looks_like_a_credential_goes_whatever_its_name() {
        for value in ["Bearer abc", "basic dTpw", "eyJhbGciOi.eyJzdWIiOi.c2ln"] {
            assert_eq!(header(OPEN, &format!("X-Data: {value}")), "[Filtered]");
        }
        assert_eq!(header(OPEN, "X-Data: eyJhIjoxfQ=="), "eyJhIjoxfQ==");
    }

    #[test]
    fn cookies_keep_their_names_and_without_pii_no_value() {
        let cookie = "Cookie: lang=de;sid=s3cr3t; csrftoken=t; next=/a%3Ftoken%3Dx; broken; =y; a=";
        assert_eq!(
            header(STRICT, cookie),
            "lang=[Filtered]; sid=[Filtered]; csrftoken=[Filtered]; next=[Filtered]; [Filtered]; =[Filtered]; a=[Filtered]"
        );
        assert_eq!(
            header(OPEN, cookie),
            "lang=de; sid=[Filtered]; csrftoken=[Filtered]; next=[Filtered]; [Filtered]; =y; a="
        );
        assert_eq!(header(OPEN, "cookie: a=\"x; token=y\""), "a=\"x; token=[Filtered]");
    }

    #[test]
    fn a_set_cookie_keeps_its_name_and_attributes() {
        for (line, kept) in [
            (
                "Set-Cookie: id=s3cr3t; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure; HttpOnly",
                "id=[Filtered]; Path=/; Expires=Wed, 21 Oct 2026 07:28:00 GMT; Secure; HttpOnly",
            ),
            ("set-cookie: a=1, b=s3cr3t; Path=/", "a=[Filtered]; Path=/"),
            ("Set-Cookie: a=1; Path=/, b=s3cr3t; Secure", "a=[Filtered]; Path=[Filtered]; Secure"),
            ("Set-Cookie: s3cr3t", "[Filtered]"),
        ] {
            assert_eq!(header(OPEN, line), kept);
        }
    }

    #[test]
    fn sensitive_pairs_behind_a_path_are_hidden() {
        for (whole, kept) in [
            ("/a?page=2&token=s3&x=y", "/a?page=2&token=[Filtered]&x=y"),
            ("/a?API_KEY=s3;b=c", "/a?API_KEY=[Filtered];b=c"),
            ("/a?to%6ben=s3&%2574oken=s3", "/a?to%6ben=[Filtered]&%2574oken=[Filtered]"),
            (
                "/a?user[Password]=s3&token=s3&token=s4",
                "/a?user[Password]=[Filtered]&token=[Filtered]&token=[Filtered]",
            ),
            ("/a?my+token=s3", "/a?my+token=[Filtered]"),
            ("/a?token=s3=s3,s3\"s3 s3", "/a?token=[Filtered]"),
            ("/a?token=", "/a?token="),
            ("/a?token", "/a?token"),
            ("/token=path/secret/a", "/token=path/secret/a"),
            ("/a;jsessionid=s3?b=c", "/a;jsessionid=[Filtered]?b=c"),
            ("/cb#access_token=s3&state=1", "/cb#access_token=[Filtered]&state=1"),
            ("/a?x=1?token=s3", "/a?x=1?token=[Filtered]"),
            ("/a?client_ip=192.0.2.1", "/a?client_ip=[Filtered]"),
        ] {
            assert_eq!(url(whole), kept);
        }
        assert_eq!(&*OPEN.url(b"/a?client_ip=192.0.2.1"), b"/a?client_ip=192.0.2.1");
    }

    #[test]
    fn a_secret_inside_of_an_encoded_value_hides_the_value() {
        for (whole, kept) in [
            ("/a?next=%2Flogin%3Ftoken%3Ds3&b=c", "/a?next=[Filtered]&b=c"),
            ("/a?next=%252Flogin%253Ftoken%253Ds3", "/a?next=[Filtered]"),
            ("/a?next=https%3A%2F%2Fu%3As3%40h%2F", "/a?next=[Filtered]"),
            ("/a?token%3Ds3", "/a?[Filtered]"),
            ("/a?next=a%3Db%3Dc%3Dtoken%3Ds3", "/a?next=[Filtered]"),
            ("/a?next=%2525252525252Fx", "/a?next=[Filtered]"),
            ("/a?next=%2Fshop%3Fpage%3D2", "/a?next=%2Fshop%3Fpage%3D2"),
            ("/a?q=100%25&r=50%", "/a?q=100%25&r=50%"),
            ("/a?q=YWJjZA====", "/a?q=YWJjZA===="),
        ] {
            assert_eq!(url(whole), kept);
        }
    }

    #[test]
    fn user_and_password_go_from_every_url() {
        for (whole, kept) in [
            ("https://u:s3@h/a@b", "https://h/a@b"),
            ("https://u:s3@x@h", "https://h"),
            ("//u:s3@h/a", "//h/a"),
            ("/a//b@c", "/a//b@c"),
            ("https://h:8080/@a", "https://h:8080/@a"),
            ("https://[::1]:80/@a", "https://[::1]:80/@a"),
            ("https://u:s3/s4@h/", "https://h/"),
            ("/proxy/https://u:s3@h/a", "/proxy/https://h/a"),
            ("/a?b=https://u:s3@h/", "/a?b=https://h/"),
            ("ftp://one@h1/ ftp://two@h2/", "ftp://h1/ ftp://h2/"),
        ] {
            assert_eq!(url(whole), kept);
        }
    }

    #[test]
    fn urls_inside_of_headers_are_scrubbed() {
        for (line, kept) in [
            ("Referer: https://u:s3@h/a?token=s3 s3\"s3", "https://h/a?token=[Filtered]"),
            ("Origin: https://u:s3@h", "https://h"),
            ("Location: //u:s3@h/?sid=s3", "//h/?sid=[Filtered]"),
            ("Content-Location: /a?secret=s3", "/a?secret=[Filtered]"),
            ("X-Original-URL: /a?secret=s3 s3", "/a?secret=[Filtered]"),
            (
                "Link: <https://u:s3@h/a?token=s3>; rel=next, <https://h/?sid=s3>; rel=prev",
                "<https://h/a?token=[Filtered]>; rel=next, <https://h/?sid=[Filtered]>; rel=prev",
            ),
            ("Refresh: 0; url=https://u:s3@h/a?token=s3", "0; url=https://h/a?token=[Filtered]"),
            ("X-Debug: token= \"s3 s3\", b=2", "token=[Filtered] b=2"),
            ("X-Debug: a=1,token=s3", "a=[Filtered]"),
            ("X-Debug: a=\"&token=\"s3\"", "a=\"&token=[Filtered]"),
            ("Report-To: {\"url\":\"https://h/?sentry_key=s3\"}", "{\"url\":\"https://h/?sentry_key=[Filtered]\"}"),
            ("Link: <//u:s3@h/a//b>; rel=next", "<//h/a//b>; rel=next"),
            ("Host: u:s3@shop.example", "shop.example"),
            ("Host: h/?token=s3", "h/?token=[Filtered]"),
        ] {
            assert_eq!(header(STRICT, line), kept);
        }
    }
}
