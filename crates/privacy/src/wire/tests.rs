// SPDX-License-Identifier: BSD-2-Clause
use super::*;
use crate::body::Body;
use crate::scrub::DEFAULT;
use crate::settings::{Privacy, PrivacyArguments};

const STRICT: Scrub<'_> = Scrub { send_pii: false, privacy: &DEFAULT, taken: None };
const OPEN: Scrub<'_> = Scrub { send_pii: true, privacy: &DEFAULT, taken: None };

fn header(scrub: Scrub<'_>, line: &str) -> String {
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
        "X-Vinyl: 32770 32769",
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
fn a_credential_in_a_url_that_is_a_value_goes_with_it() {
    assert_eq!(header(OPEN, "Cookie: a=/b?x=Bearer%20s3; c=/b?x=Bear%20s"), "a=[Filtered]; c=/b?x=Bear%20s");
    for (content_type, text, kept) in [
        ("application/json", r#"{"a":"https://h/?x=1&y=Basic%20s3"}"#, r#"{"a":"[Filtered]"}"#),
        ("application/x-www-form-urlencoded", "a=/b?x=bearer+s3&c=1", "a=[Filtered]&c=1"),
        ("application/x-www-form-urlencoded", "a=/b?x=1%26y=bearer+s3&c=x=bearer", "a=[Filtered]&c=x=bearer"),
    ] {
        let (bytes, len) = (text.as_bytes(), text.len() as u64);
        let body = Body { bytes, len, content_type: content_type.as_bytes(), content_encoding: b"" };
        assert_eq!(String::from_utf8(OPEN.body(body)).unwrap(), kept);
    }
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
        ("/a?user[Password]=s3&token=s3&token=s4", "/a?user[Password]=[Filtered]&token=[Filtered]&token=[Filtered]"),
        ("/a?my+token=s3", "/a?my+token=[Filtered]"),
        ("/a?token=s3=s3,s3\"s3 s3", "/a?token=[Filtered]"),
        ("/a?token=", "/a?token="),
        ("/a?token", "/a?token"),
        ("/token=path/secret/a", "/token=path/secret/a"),
        ("/a;jsessionid=s3?b=c", "/a;jsessionid=[Filtered]?b=c"),
        ("/cb#access_token=s3&state=1", "/cb#access_token=[Filtered]&state=1"),
        ("/a?x=1?token=s3", "/a?x=1?token=[Filtered]"),
        ("/a?value=s3&x=1&name=password&v=s4", "/a?value=[Filtered]&x=1&name=password&v=[Filtered]"),
        ("/a?name=size&value=xl", "/a?name=size&value=xl"),
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
        ("/a?q=Bearer+s3&r=Basic%20s3&s=a+b", "/a?q=[Filtered]&r=[Filtered]&s=a+b"),
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
        ("https://u:80/s3@", "https://"),
        ("https://u:80/s3@h", "https://h"),
        ("/proxy/https://u:s3@h/a", "/proxy/https://h/a"),
        ("/a?b=https://u:s3@h/", "/a?b=https://h/"),
        ("ftp://one@h1/ ftp://two@h2/", "ftp://h1/ ftp://h2/"),
    ] {
        assert_eq!(url(whole), kept);
    }
}

fn privacy(change: fn(&mut PrivacyArguments<'_>)) -> Privacy {
    let mut arguments = PrivacyArguments::default();
    change(&mut arguments);
    Privacy::new(&arguments).unwrap()
}

#[test]
fn the_author_knows_better_than_the_names_but_not_than_the_values() {
    let privacy = privacy(|a| {
        (a.allow_headers, a.deny_headers) = ("Surrogate-Key, x-key, X-Forwarded-For", "x-tenant, Set-Cookie");
        (a.allow_keys, a.deny_keys) = ("keyword, lang, user[key]", "page");
    });
    for (line, kept) in [
        ("surrogate-key: a b", "a b"),
        ("X-Key: https://u:s3@h/?token=s3&keyword=a", "https://h/?token=[Filtered]&keyword=a"),
        ("X-Key: Bearer s3", "[Filtered]"),
        ("X-Forwarded-For: 192.0.2.9", "192.0.2.9"),
        ("X-Tenant: a", "[Filtered]"),
        ("Set-Cookie: lang=de; Path=/", "[Filtered]"),
        (
            "Cookie: lang=de; page=2; theme=dark; LANG=%2Fa%3Ftoken%3Ds3",
            "lang=de; page=[Filtered]; theme=[Filtered]; LANG=[Filtered]",
        ),
        ("Referer: /a?User%5Bkey%5D=1&Page=2", "/a?User%5Bkey%5D=1&Page=[Filtered]"),
    ] {
        assert_eq!(header(STRICT.with(&privacy), line), kept);
    }
    assert_eq!(header(OPEN.with(&privacy), "Cookie: page=2; theme=dark"), "page=[Filtered]; theme=dark");
}

#[test]
fn with_allowed_only_a_name_has_to_be_known() {
    let privacy = privacy(|a| {
        (a.allowed_only, a.allow_headers, a.allow_keys) = (true, "X-Shop", "page, lang");
    });
    for (line, kept) in [
        ("Cache-Control: private, max-age=60", "private, max-age=60"),
        ("X-Shop: 7", "7"),
        ("X-Other: 7", "[Filtered]"),
        ("Referer: https://h/", "[Filtered]"),
        ("X-Forwarded-For: 192.0.2.9", "[Filtered]"),
        ("Cookie: lang=de; theme=dark", "lang=de; theme=[Filtered]"),
        ("Set-Cookie: theme=dark; Path=/", "theme=[Filtered]; Path=/"),
        ("Set-Cookie: lang=de; Path=/", "lang=de; Path=/"),
        ("Location: https://u:s3@h/a?page=2&x=s3&s3&y=", "https://h/a?page=2&x=[Filtered]&[Filtered]&y="),
        ("Location: /a?s3", "/a?[Filtered]"),
    ] {
        assert_eq!(header(OPEN.with(&privacy), line), kept);
    }
    let scrub = OPEN.with(&privacy);
    assert_eq!(&*scrub.url(b"/a?p%61ge=2&q=s3"), b"/a?p%61ge=2&q=[Filtered]");
    let body = |content_type: &'static str, text: &'static str| {
        let (bytes, len) = (text.as_bytes(), text.len() as u64);
        let body = Body { bytes, len, content_type: content_type.as_bytes(), content_encoding: b"" };
        String::from_utf8(scrub.body(body)).unwrap()
    };
    assert_eq!(body("application/x-www-form-urlencoded", "page=2&q=s3"), "page=2&q=[Filtered]");
    assert_eq!(body("application/json", "[\"s3\"]"), "[6 bytes]");
}

#[test]
fn addresses_become_anonymous_where_a_name_speaks_of_one() {
    let privacy = privacy(|a| a.anonymize_ip = true);
    for (line, kept) in [
        ("X-Forwarded-For: 192.0.2.9, 2001:db8:1:2::9", "192.0.2.0, 2001:db8:1::"),
        ("Forwarded: for=192.0.2.9;proto=https", "for=192.0.2.0;proto=https"),
        ("User-Agent: Chrome/120.1.2.3", "Chrome/120.1.2.3"),
        ("Referer: /a?client_ip=192.0.2.9&v=1.2.3.4", "/a?client_ip=192.0.2.0&v=1.2.3.4"),
    ] {
        assert_eq!(header(OPEN.with(&privacy), line), kept);
    }
    assert_eq!(header(STRICT.with(&privacy), "X-Forwarded-For: 192.0.2.9"), "[Filtered]");
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
        ("X-Debug: token= \"s3 s3\", b=2", "token= \"[Filtered]\", b=2"),
        ("X-Debug: a=1,token=s3", "a=1,token=[Filtered]"),
        ("X-Debug: a=Bearer  s3 b=1", "a=Bearer  [Filtered] b=1"),
        ("X-Debug: a=\"&token=\"s3\"", "a=\"&token=\"[Filtered]\""),
        ("Report-To: {\"url\":\"https://h/?sentry_key=s3\"}", "{\"url\":\"https://h/?sentry_key=[Filtered]\"}"),
        (r#"X-Data: {"a":1,"token":"s3 s3"}"#, r#"{"a":1,"token":"[Filtered]"}"#),
        (r#"Referer: /a?q={"token":"s3"}"#, "/a?q=[Filtered]"),
        ("Referer: /a?q=%7B%22token%22:%22s3%22%7D", "/a?q=[Filtered]"),
        ("Link: <//u:s3@h/a//b>; rel=next", "<//h/a//b>; rel=next"),
        ("Host: u:s3@shop.example", "shop.example"),
        ("Host: h/?token=s3", "h/?token=[Filtered]"),
    ] {
        assert_eq!(header(STRICT, line), kept);
    }
}

#[test]
fn what_is_encoded_in_parts_is_read_as_if_it_were_not() {
    for (line, kept) in [
        ("X-Any: %?auth=\"s3\"", "%?auth=\"[Filtered]\""),
        ("X-Any: a%20b:c%3Dtoken%3Ds3, d", "a%20b:c%3Dtoken%3D[Filtered], d"),
        ("X-Any: x %74oken=s3 y", "x %74oken=[Filtered] y"),
        ("X-Any: {\"a\\u0022,\\u0022token\":\"s3\"}", "{\"a\\u0022,\\u0022token\":\"[Filtered]\"}"),
        ("Referer: /#next=http%252573:/%25252fu:s3@h/", "/#next=[Filtered]"),
        ("X-Any: at http%73:%2f/u:s3@h/%61", "at http%73:%2f/h/%61"),
        ("X-Any: q=%2525252574oken=s3 r", "[Filtered] r"),
        ("X-Any: <%7b%22%2525252561uth%22:%22s3%22%7d>", "<[Filtered]>"),
    ] {
        assert_eq!(header(OPEN, line), kept);
    }
}

#[test]
fn what_is_nested_in_a_text_is_hidden_to_its_end_and_no_further() {
    for nest in [
        r#"token={"a":"s3"}"#,
        r#"token={"a":{"b":1},"c":"s3"}"#,
        r#"token=[["a",1],{"b":["s3"]},"s4"]"#,
        r#"token={"a":"}","b":"s3"}"#,
        "<token>s3</token>",
        "<password a=\"s3\">s4</password>",
        "<token>a<b>s3</b> token s4</token>",
        "<x:token>s3</x:token>",
    ] {
        let text = format!("before {nest} behind=it");
        let shown = Scrub::new(false).text(text.as_bytes());
        let shown = String::from_utf8_lossy(&shown);
        assert!(!shown.contains("s3") && !shown.contains("s4"), "{shown}");
        assert!(shown.starts_with("before ") && shown.ends_with(" behind=it"), "{shown}");
    }
}

#[test]
fn a_string_ends_where_it_ends_whatever_of_it_is_encoded() {
    // What is hidden begins behind the first character, whatever that one is.
    for text in [
        r#"{"token":"\\\"hunter2"}"#,
        r"{%22token%22:%22\\\%22hunter2%22}",
        r"{%22token%22:%22%5c%5c\%22hunter2%22}",
        r"{%22token%22:%22a\u0022hunter2%22}",
        r"%257b%2522token%2522:%2522\%5c%255c%2522hunter2%2522%257d",
        r"{&quot;token&quot;:&quot;\\\&quot;hunter2&quot;}",
        r"{%22token%22:%22a&quot;hunter2%22}",
        r"{%22token%22:%22a&quot;\%22hunter2%22}",
        r"{%26quot;token%26quot;:%26quot;a\u0022hunter2%26quot;}",
    ] {
        let shown = Scrub::new(true).text_at(text.as_bytes(), false).into_owned();
        let shown = String::from_utf8(shown).unwrap();
        assert!(
            shown.contains("token") && shown.contains("[Filtered]") && !shown.contains("hunter2"),
            "{text}: {shown}"
        );
    }
}
