// SPDX-License-Identifier: BSD-2-Clause
//! The user of an event: what Sentry knows by name, and the rest as data.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::IpAddr;

use protocol::text::line;
use serde::Serialize;

use privacy::address::anonymous_text;

const MAX_NAME: usize = 128;
const MAX_EMAIL: usize = 75;
const MAX_DATA: usize = 2048;
/// In place of an address: Sentry is to see for itself.
const INFERRED: &str = "{{auto}}";

/// Who made the request; what is not set is not sent.
#[derive(Debug, Default, PartialEq, Serialize)]
pub(super) struct User<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    email: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    username: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<Cow<'a, str>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    ip_address: Option<String>,
    /// The published schema allows no other keys next to the ones above.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    data: BTreeMap<Cow<'a, str>, Cow<'a, str>>,
}

impl<'a> User<'a> {
    /// Sets one attribute; an empty value takes it away.
    pub fn set(&mut self, attribute: &'a [u8], value: &'a [u8]) {
        let limited = |limit| Some(line(value, limit)).filter(|value| !value.is_empty());
        match attribute {
            b"id" => self.id = limited(MAX_NAME),
            b"email" => self.email = limited(MAX_EMAIL),
            b"username" => self.username = limited(MAX_NAME),
            b"name" => self.name = limited(MAX_NAME),
            // Sentry refuses what is no address; as data it is at least seen.
            b"ip_address" if value.is_empty() || address(value).is_some() => self.ip_address = address(value),
            _ => {
                let attribute = line(attribute, MAX_NAME);
                match limited(MAX_DATA) {
                    Some(value) => self.data.insert(attribute, value),
                    None => self.data.remove(&attribute),
                };
            }
        }
    }

    /// Sets the client's address unless VCL has set one.
    pub fn set_client(&mut self, ip: &[u8], anonymize: bool) {
        let ip = if anonymize { anonymous_text(ip) } else { Cow::Borrowed(ip) };
        self.ip_address = self.ip_address.take().or_else(|| address(&ip));
    }

    /// Whether Sentry is asked to see for itself which address it is.
    pub fn has_address_inferred(&self) -> bool {
        self.ip_address.as_deref() == Some(INFERRED)
    }

    pub fn is_empty(&self) -> bool {
        *self == User::default()
    }
}

/// An address as Sentry takes it: without a zone; or [`INFERRED`].
fn address(text: &[u8]) -> Option<String> {
    let text = str::from_utf8(text).ok()?.trim();
    if text == INFERRED {
        return Some(text.to_owned());
    }
    let (address, _zone) = text.split_once('%').unwrap_or((text, ""));
    address.parse().ok().map(|address: IpAddr| address.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn json(set: &[(&str, &str)]) -> String {
        let mut user = User::default();
        set.iter().for_each(|(attribute, value)| user.set(attribute.as_bytes(), value.as_bytes()));
        serde_json::to_string(&user).unwrap()
    }

    #[test]
    fn attributes_that_sentry_does_not_know_become_data() {
        assert_eq!(
            json(&[("id", "7"), ("username", "ada"), ("plan", "pro"), ("geo", "x"), ("empty", "")]),
            r#"{"id":"7","username":"ada","data":{"geo":"x","plan":"pro"}}"#
        );
    }

    #[test]
    fn a_later_value_wins_and_an_empty_one_takes_away() {
        assert_eq!(json(&[("id", "7"), ("id", "8"), ("plan", "pro"), ("plan", "")]), r#"{"id":"8"}"#);
        assert_eq!(json(&[("id", "7"), ("id", ""), ("ip_address", "::1"), ("ip_address", "")]), "{}");
    }

    #[test]
    fn only_an_address_is_an_address() {
        for (value, user) in [
            ("192.0.2.1", r#"{"ip_address":"192.0.2.1"}"#),
            ("2001:DB8::1", r#"{"ip_address":"2001:db8::1"}"#),
            ("fe80::1%eth0", r#"{"ip_address":"fe80::1"}"#),
            ("{{auto}}", r#"{"ip_address":"{{auto}}"}"#),
            ("192.0.2.1:80", r#"{"data":{"ip_address":"192.0.2.1:80"}}"#),
        ] {
            assert_eq!(json(&[("ip_address", value)]), user);
        }
    }

    #[test]
    fn the_clients_address_yields_to_the_one_that_vcl_set() {
        let mut user = User::default();
        user.set(b"ip_address", b"192.0.2.1");
        user.set_client(b"192.0.2.2", true);
        assert_eq!(user.ip_address.as_deref(), Some("192.0.2.1"));
        for (anonymize, ip) in [(false, "192.0.2.2"), (true, "192.0.2.0")] {
            let mut user = User::default();
            user.set_client(b"192.0.2.2", anonymize);
            assert_eq!(user.ip_address.as_deref(), Some(ip));
        }
    }
}
