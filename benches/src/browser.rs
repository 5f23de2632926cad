// SPDX-License-Identifier: BSD-2-Clause
//! An envelope as `@sentry/browser` posts it: an error with a stack, the page, and breadcrumbs that make it as large as is wanted.

pub const DSN: &str = "https://0123456789abcdef0123456789abcdef@o1.ingest.example/42";
pub const USER_AGENT: &str =
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36";

/// One of about `size` bytes; the smallest is of some 1600.
pub fn envelope(size: usize) -> Vec<u8> {
    let frame = |function: &str, line: u32| {
        format!(
            r#"{{"filename":"https://www.example.com/static/app.min.js","function":"{function}","in_app":true,"lineno":{line},"colno":31337}}"#
        )
    };
    let frames = ["HTMLButtonElement.o", "t.onClick", "e.submit", "n.total"].map(|name| frame(name, 1)).join(",");
    let mut crumbs = String::new();
    let event = |crumbs: &str| {
        format!(
            r#"{{"exception":{{"values":[{{"type":"TypeError","value":"Cannot read properties of undefined (reading 'price')","stacktrace":{{"frames":[{frames}]}},"mechanism":{{"type":"instrument","handled":false}}}}]}},"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","level":"error","platform":"javascript","request":{{"url":"https://www.example.com/checkout/step-2?cart=12345","headers":{{"Referer":"https://www.example.com/catalog?page=3","User-Agent":"{USER_AGENT}"}}}},"timestamp":1767225600.123,"environment":"production","release":"shop@1.2.3","sdk":{{"name":"sentry.javascript.browser","version":"11.12.0"}},"breadcrumbs":[{crumbs}]}}"#
        )
    };
    let header = format!(
        r#"{{"event_id":"fc6d8c0c43fc4630ad850ee518f1b9d0","sent_at":"2026-01-01T00:00:00.123Z","sdk":{{"name":"sentry.javascript.browser","version":"11.12.0"}},"dsn":"{DSN}"}}"#
    );
    let fixed = header.len() + event("").len() + 20;
    while fixed + crumbs.len() < size {
        if !crumbs.is_empty() {
            crumbs.push(',');
        }
        crumbs.push_str(
            r##"{"timestamp":1767225599.5,"category":"ui.click","message":"body > div#app > main.cart > button.buy"}"##,
        );
    }
    format!("{header}\n{{\"type\":\"event\"}}\n{}", event(&crumbs)).into_bytes()
}
