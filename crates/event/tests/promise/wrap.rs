// SPDX-License-Identifier: BSD-2-Clause
//! A secret in notations within notations.

use super::{SECRET, escaped};

/// A secret with a name, or one that needs none.
const INNERMOST: [&str; 16] = [
    "password=SECRET",
    "password: SECRET",
    "{\"api_key\":\"SECRET\"}",
    "{'token': 'SECRET'}",
    "<password>SECRET</password>",
    "login(pass:\"SECRET\")",
    "a=1&access_token=SECRET&b=2",
    "s:8:\"password\";s:14:\"SECRET\";",
    "Authorization: Basic SECRET",
    "eyJhbGciOi.eyJSECRET.c2ln",
    "Bearer SECRET",
    "https://ada:SECRET@shop.example/",
    "-----BEGIN PRIVATE KEY-----\nMIISECRET\n-----END PRIVATE KEY-----",
    "{\"name\":\"password\",\"value\":\"SECRET\"}",
    "insert into t(a, password) values (1, 'SECRET')",
    "<key>password</key><string>SECRET</string>",
];
/// How many ways there are to wrap a text.
const WAYS: u8 = 7;

/// The secret in the notation that `innermost` picks, wrapped as each of `ways` says.
pub fn wrapped(innermost: u8, ways: &[u8]) -> String {
    let innermost = INNERMOST[usize::from(innermost) % INNERMOST.len()].replace("SECRET", SECRET);
    ways.iter().fold(innermost, |text, way| match way % WAYS {
        0 => format!("{{\"a\":{}}}", serde_json::Value::from(text)),
        1 => format!("next={}&x=1", escaped(&text, 0, "?=&;#%\"<>+ {}:'/,\\")),
        2 => format!("/login?next={}", escaped(&text, u64::MAX, "")),
        3 => format!("it said {} to us", serde_json::Value::from(text)),
        4 => format!("({text})"),
        5 => format!("x {text}"),
        _ => format!("data[]={}", escaped(&text, 0, "?=&;#%\"<>+ {}:'/,\\")),
    })
}
