// SPDX-License-Identifier: BSD-2-Clause
//! Fields that nobody is to see, named by their place in the event, as Sentry shows it.
//!
//! They are copied into the record all the same, and left out when it becomes JSON: the request's thread has better to do.

use std::sync::Arc;

use regex::bytes::Regex;

use crate::capture::fields::{Field, Kind};

/// The expressions for places of fields that are left out; takes no memory if there are none.
#[derive(Clone, Debug, Default)]
pub struct Removals(Box<[Arc<Regex>]>);

impl FromIterator<Arc<Regex>> for Removals {
    fn from_iter<I: IntoIterator<Item = Arc<Regex>>>(places: I) -> Removals {
        Removals(places.into_iter().collect())
    }
}

impl Removals {
    /// The memory that it takes next to itself.
    pub fn len_bytes(&self) -> usize {
        size_of_val(&*self.0)
    }

    /// What is left of a field: all of it, a URL without its query, or nothing.
    #[inline]
    pub fn leave<'a>(&self, field: Field<'a>) -> Option<Field<'a>> {
        if self.0.is_empty() { Some(field) } else { self.leave_some(field) }
    }

    fn leave_some<'a>(&self, field: Field<'a>) -> Option<Field<'a>> {
        let Some(path) = path(field) else { return Some(field) };
        if self.takes(&path) {
            return None;
        }
        if field.kind == Kind::Url && self.takes(b"request.query_string") {
            let value = field.value.split(|byte| *byte == b'?').next().unwrap_or_default();
            return Some(Field { value, ..field });
        }
        Some(field)
    }

    /// Whether what stands at the place whose pieces these are is left out.
    pub(crate) fn take(&self, path: &[&[u8]]) -> bool {
        !self.0.is_empty() && self.takes(&path.concat())
    }

    /// Whether a header of the name is left out, of the request or the response.
    pub(crate) fn take_header(&self, name: &[u8]) -> bool {
        self.take(&[b"request.headers.", name]) || self.take(&[b"contexts.response.headers.", name])
    }

    fn takes(&self, path: &[u8]) -> bool {
        self.0.iter().any(|remove| remove.is_match(path))
    }
}

/// Where the field is in the event; `None` for what an event cannot do without.
fn path(field: Field<'_>) -> Option<Vec<u8>> {
    let Field { kind, name, value } = field;
    let header = || value.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
    Some(match kind {
        Kind::Method => b"request.method".to_vec(),
        Kind::Body => b"request.data".to_vec(),
        Kind::Status => b"contexts.response.status_code".to_vec(),
        Kind::Reason => b"contexts.response.reason".to_vec(),
        Kind::Url => b"request.url".to_vec(),
        Kind::RequestHeader => [b"request.headers.", header()].concat(),
        Kind::ResponseHeader => [b"contexts.response.headers.", header()].concat(),
        Kind::ClientIp => b"user.ip_address".to_vec(),
        Kind::Tag => [b"tags.", name].concat(),
        Kind::Extra => [b"extra.", name].concat(),
        Kind::User => [b"user.", name].concat(),
        Kind::Context | Kind::ContextInt | Kind::ContextReal => {
            let name: Vec<u8> = name.iter().map(|byte| if *byte == 0 { b'.' } else { *byte }).collect();
            [b"contexts.", &*name].concat()
        }
        Kind::Transaction => b"transaction".to_vec(),
        // Between level and time.
        Kind::Breadcrumb => [b"breadcrumbs.", name.split(|byte| *byte == 0).nth(1).unwrap_or_default()].concat(),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use regex::bytes::RegexBuilder;

    use super::*;

    fn removals(place: &str) -> Removals {
        let place = RegexBuilder::new(place).unicode(false).case_insensitive(true).build().unwrap();
        [Arc::new(place)].into_iter().collect()
    }

    #[test]
    fn fields_are_named_by_their_place_in_the_event() {
        let table: &[(Kind, &[u8], &[u8], &str)] = &[
            (Kind::Method, b"", b"GET", "request.method"),
            (Kind::Url, b"", b"/a", "request.url"),
            (Kind::RequestHeader, b"", b"X-Customer: 7", "request.headers.x-customer"),
            (Kind::ResponseHeader, b"", b"Set-Cookie:a=b", "contexts.response.headers.set-cookie"),
            (Kind::ClientIp, b"", b"192.0.2.1", "user.ip_address"),
            (Kind::User, b"email", b"a@b", "user.email"),
            (Kind::Extra, b"cart", b"1", "extra.cart"),
            (Kind::Context, b"shop\0cart", b"1", "contexts.shop.cart"),
            (Kind::ContextInt, b"varnish\0xid", b"12345678", "contexts.varnish.xid"),
            (Kind::Transaction, b"", b"t", "transaction"),
            (Kind::Body, b"12345678", b"{}", "request.data"),
            (Kind::Reason, b"", b"OK", "contexts.response.reason"),
            (Kind::Status, b"", b"200", "contexts.response.status_code"),
            (Kind::Breadcrumb, b"info\0cache\x0012345678", b"hit", "breadcrumbs.cache"),
        ];
        for (kind, name, value, path) in table {
            let field = Field { kind: *kind, name, value };
            let removing = |path: &str| {
                let remove = format!("^{}$", path.replace('.', r"\."));
                removals(&remove)
            };
            assert_eq!(removing(path).leave(field), None, "{path}");
            assert_eq!(removing("tags.other").leave(field), Some(field), "{path}");
        }
    }

    #[test]
    fn an_event_keeps_what_it_is_about() {
        let everything = removals(".");
        for kind in [Kind::Message, Kind::Param, Kind::Exception, Kind::Fingerprint] {
            let field = Field { kind, name: b"n", value: b"v" };
            assert_eq!(everything.leave(field), Some(field), "{kind:?}");
        }
    }

    #[test]
    fn a_header_of_a_log_goes_with_that_of_either_message() {
        for place in ["^request.headers.x-customer$", "^contexts.response.headers.x-customer$"] {
            assert!(removals(place).take_header(b"X-Customer"), "{place}");
        }
        assert!(!removals("headers.x-other").take_header(b"X-Customer"));
    }

    #[test]
    fn a_query_goes_and_the_path_stays() {
        let removals = removals("query_string");
        let url = Field { kind: Kind::Url, name: b"", value: b"/a?b=c?d" };
        assert_eq!(removals.leave(url).map(|url| url.value), Some(&b"/a"[..]));
    }
}
