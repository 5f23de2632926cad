// SPDX-License-Identifier: BSD-2-Clause
//! The walk over a text.

use std::borrow::Cow;

use super::mark::{Between, Mark, between, is_tag};
use super::search::Search;
use super::value::{self, Ends};
use super::word::{self, near};
use super::{apart, columns, element, option, pair, pem};
use crate::address::anonymous_text;
use crate::credential;
use crate::escape::unescaped;
use crate::names;
use crate::scrub::Scrub;
use crate::spans::Spans;

/// Brackets remembered at a time.
const MAX_OPEN: usize = 64;

/// A walk over one text.
struct Walk<'a, 'p, 's> {
    search: Search<'a, 'p, 's>,
    /// Whether only the author's names may have a value.
    strict: bool,
    /// Brackets that are not closed yet.
    open: Vec<usize>,
    /// Where the last value is that may belong to a name behind it.
    value: Option<usize>,
}

/// Collects what of `text` must not leave.
pub(crate) fn find(scrub: Scrub<'_>, text: &[u8], strict: bool, spans: &mut Spans) {
    Walk { search: Search { scrub, text, spans }, strict, open: Vec::new(), value: None }.walk();
}

impl Walk<'_, '_, '_> {
    fn walk(mut self) {
        let text = self.search.text;
        let mut at = 0;
        while let Some(byte) = text.get(at).copied() {
            if word::is_part(text, at, byte) {
                let end = word::end(text, at);
                at = self.word(at, end).max(end);
                continue;
            }
            match byte {
                b'{' | b'[' | b'(' | b'<' if self.open.len() < MAX_OPEN => self.open.push(at),
                b')' => {
                    let open = self.open.pop();
                    if let Some(to) = open.and_then(|open| columns::hide(&mut self.search, open, at)) {
                        at = to;
                        continue;
                    }
                }
                b'}' | b']' | b'>' => drop(self.open.pop()),
                _ => {}
            }
            at += 1;
        }
    }

    /// Looks at the word between `start` and `end`; says from where on the walk goes on.
    fn word(&mut self, start: usize, end: usize) -> usize {
        let text = self.search.text;
        let word = self.search.slice(start, end);
        if credential::is_known_token(word) {
            self.search.spans.hide(start, end);
            return end;
        }
        // The name of a tag whose content is hidden is none: behind it are attributes.
        if matches!(text.get(end), Some(b' ' | b'\t' | b'+'))
            && let Some(is_word) = credential::scheme(word)
            && !(is_tag(text.get(..start).unwrap_or_default()) && self.search.scrub.hides_name(word))
            && let Some((from, to)) = credential::behind_scheme(text, end, is_word)
        {
            self.search.hide(from, to);
            return to;
        }
        if let Some((from, to)) = pem::private_key(text, word, end).or_else(|| option::password(text, word, end)) {
            self.search.hide(from, to);
            return to;
        }
        let Some(between) = between(text, start, end) else { return end };
        if matches!(between.mark, Mark::Equals | Mark::Colon) {
            if apart::holds_name(word) {
                let open = self.open.last().copied();
                if let Some(to) = apart::hide(&mut self.search, open, self.value.take(), between) {
                    return to;
                }
            } else if apart::holds_value(word) {
                self.value = Some(between.value_at);
            }
        }
        if between.mark == Mark::Tag && element::is_title(&self.search, word, end) {
            return end;
        }
        let name = word::with_brackets(text, start, end);
        if self.is_hidden(name, between) {
            return match between.mark {
                Mark::Tag => element::hide(&mut self.search, start, end),
                Mark::Beside => element::hide_beside(&mut self.search, between.value_at),
                _ => pair::hide(&mut self.search, start, end, between),
            };
        }
        if self.search.scrub.anonymizes()
            && matches!(between.mark, Mark::Equals | Mark::Colon | Mark::Apart)
            && names::of(name).is_personal()
        {
            let to = value::end(near(text, between.value_at), between.value_at, Ends::Pair).0;
            if let Cow::Owned(anonymous) = anonymous_text(self.search.slice(between.value_at, to)) {
                self.search.spans.put(between.value_at, to, Cow::Owned(anonymous));
                return to;
            }
        }
        end
    }

    fn is_hidden(&self, name: &[u8], between: Between) -> bool {
        let name = unescaped(name);
        if self.search.scrub.hides_name(&name) || name.contains(&b'\\') {
            return true;
        }
        let is_pair = between.mark == Mark::Equals || between.mark == Mark::Colon && between.quoted;
        self.strict && is_pair && !self.search.scrub.allows_key(&name)
    }
}
