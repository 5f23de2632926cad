// SPDX-License-Identifier: BSD-2-Clause
//! What a VCL's author changes in events before they are sent: the level, and fields that nobody is to see.
//!
//! Whether a rule holds for an event, and which level it gets, is decided before anything of it is copied. What
//! is to be removed, the sender leaves out: fields are named there by their place in the event, as Sentry shows it.

use std::sync::Arc;

use regex::bytes::Regex;

use crate::ignore::{Candidate, Expressions, Rule, RuleError, Rules, compile};
use crate::level::Level;
use crate::record::{Field, Kind};

/// One rule: what it changes in the events it matches.
#[derive(Debug)]
pub struct Edit {
    when: Rule,
    level: Option<Level>,
    remove: Option<Regex>,
}

/// What all rules together change in one event.
#[derive(Debug, Default)]
pub struct Edits {
    pub level: Option<Level>,
    pub removals: Removals,
}

/// The rules whose fields are to be removed; takes no memory if there are none.
#[derive(Clone, Debug, Default)]
pub struct Removals(Box<[Arc<Edit>]>);

impl Edit {
    /// Compiles the expressions, of which those in `when` may all be empty: then every event is meant.
    pub fn new(when: &Expressions<'_>, level: Option<Level>, remove: &str) -> Result<Edit, RuleError> {
        // Header names come in any case.
        let edit = Edit { when: Rule::of_any(when)?, level, remove: compile("remove", remove, true)? };
        if edit.level.is_none() && edit.remove.is_none() { Err(RuleError::Idle) } else { Ok(edit) }
    }
}

impl Rules<Edit> {
    /// What the rules change in the event. Each of them sees it as it was captured; of two levels the later
    /// rule's counts.
    pub fn edits(&self, candidate: &Candidate<'_>) -> Edits {
        let matching = || self.iter().filter(|edit| edit.when.matches(candidate));
        let level = matching().filter_map(|edit| edit.level).last();
        let removals = Removals(matching().filter(|edit| edit.remove.is_some()).cloned().collect());
        Edits { level, removals }
    }
}

impl Removals {
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

    fn takes(&self, path: &[u8]) -> bool {
        self.0.iter().filter_map(|edit| edit.remove.as_ref()).any(|remove| remove.is_match(path))
    }
}

/// Where the field is in the event; `None` for what an event cannot do without.
fn path(field: Field<'_>) -> Option<Vec<u8>> {
    let Field { kind, name, value } = field;
    let header = || value.split(|byte| *byte == b':').next().unwrap_or_default().trim_ascii();
    Some(match kind {
        Kind::Method => b"request.method".to_vec(),
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
    use super::*;

    fn rules(all: &[(&str, Option<Level>, &str)]) -> Rules<Edit> {
        let rules = Rules::default();
        for (message, level, remove) in all {
            let when = Expressions { message, ..Expressions::default() };
            rules.add(&Arc::new(Edit::new(&when, *level, remove).unwrap())).unwrap();
        }
        rules
    }

    fn edits(rules: &Rules<Edit>, message: &str) -> Edits {
        rules.edits(&Candidate { message: message.as_bytes(), ..Candidate::default() })
    }

    #[test]
    fn of_the_rules_that_match_the_last_level_counts_and_all_removals() {
        let rules = rules(&[
            ("^slow", Some(Level::Warning), r"^tags\.a$"),
            ("", None, r"^tags\.b$"),
            ("page$", Some(Level::Info), ""),
        ]);
        let left = |edits: &Edits| {
            let names = [&b"a"[..], b"b", b"c"].into_iter();
            let tags = names.map(|name| Field { kind: Kind::Tag, name, value: b"v" });
            tags.filter_map(|tag| edits.removals.leave(tag)).map(|tag| tag.name).collect::<Vec<_>>()
        };
        for (message, level, tags) in [
            ("slow page", Some(Level::Info), vec![&b"c"[..]]),
            ("slow", Some(Level::Warning), vec![b"c"]),
            ("other", None, vec![b"a", b"c"]),
        ] {
            let edits = edits(&rules, message);
            assert_eq!((edits.level, left(&edits)), (level, tags), "{message}");
        }
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
            (Kind::Breadcrumb, b"info\0cache\x0012345678", b"hit", "breadcrumbs.cache"),
        ];
        for (kind, name, value, path) in table {
            let field = Field { kind: *kind, name, value };
            let removing = |path: &str| {
                let remove = format!("^{}$", path.replace('.', r"\."));
                edits(&rules(&[("", None, &remove)]), "any").removals
            };
            assert_eq!(removing(path).leave(field), None, "{path}");
            assert_eq!(removing("tags.other").leave(field), Some(field), "{path}");
        }
    }

    #[test]
    fn an_event_keeps_what_it_is_about() {
        let everything = edits(&rules(&[("", None, ".")]), "any").removals;
        for kind in [Kind::Message, Kind::Param, Kind::Exception, Kind::Fingerprint] {
            let field = Field { kind, name: b"n", value: b"v" };
            assert_eq!(everything.leave(field), Some(field), "{kind:?}");
        }
    }

    #[test]
    fn a_query_goes_and_the_path_stays() {
        let removals = edits(&rules(&[("", None, "query_string")]), "any").removals;
        let url = Field { kind: Kind::Url, name: b"", value: b"/a?b=c?d" };
        assert_eq!(removals.leave(url).map(|url| url.value), Some(&b"/a"[..]));
    }

    #[test]
    fn a_rule_that_changes_nothing_is_none() {
        let of = |level, remove| Edit::new(&Expressions::default(), level, remove).map(drop);
        assert_eq!(of(None, ""), Err(RuleError::Idle));
        assert_eq!(of(Some(Level::Info), ""), Ok(()));
        let refused = of(None, "tags.(").map_err(|error| error.to_string());
        assert_eq!(refused, Err("remove is not a regular expression: unclosed group".to_owned()));
    }
}
