// SPDX-License-Identifier: BSD-2-Clause
//! The event: an error with the 20 headers of a browser's request and 6 tags.

pub const MESSAGE: &str = "backend b1 fetch failed: 503";
pub const METHOD: &str = "GET";
pub const TARGET: &str = "/checkout/step-2?cart=12345&ref=mail";
pub const URL: &str = "https://www.example.com/checkout/step-2";
pub const QUERY: &str = "cart=12345&ref=mail";

/// As they stand in the request; `benches/figures/sample.py` has the same ones.
pub const HEADERS: [(&str, &str); 20] = [
    ("Host", "www.example.com"),
    ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36"),
    ("Accept", "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"),
    ("Accept-Language", "en-US,en;q=0.5"),
    ("Accept-Encoding", "gzip, deflate, br"),
    ("Referer", "https://www.example.com/catalog?page=3"),
    ("Connection", "keep-alive"),
    ("X-Forwarded-For", "203.0.113.9, 10.0.0.1"),
    ("X-Forwarded-Proto", "https"),
    ("X-Request-Id", "7f9c2ba4-e88f-4f5a-9c0e-0a1b2c3d4e5f"),
    ("Cache-Control", "max-age=0"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-User", "?1"),
    ("If-None-Match", "\"33a64df551425fcc55e4d42a148795d9f25f89d4\""),
    ("Cookie", "sid=0123456789abcdef; theme=dark; cart=1.2.3.4"),
    ("X-Country", "NL"),
    ("X-Device", "desktop"),
];

pub const TAGS: [(&str, &str); 6] = [
    ("tenant", "shop"),
    ("datacenter", "ams3"),
    ("route", "checkout"),
    ("device", "desktop"),
    ("proto", "HTTP/1.1"),
    ("cache", "miss"),
];
