// SPDX-License-Identifier: BSD-2-Clause
//! A name and its value in free text, in whatever notation: `name=value`, `name: value`, JSON and what resembles it, quotes of either kind,
//! escaped or not, XML, GraphQL, PHP's serialised form, a list, options of a command.
//!
//! Text is walked once, word by word. A word that is a name on the list is followed to its value; a value that has no end is hidden to the end
//! of the text. What a word is told by is in [`crate::names`], where a value ends in [`crate::value`].

use std::borrow::Cow;

use memchr::{memchr, memmem};

use crate::address::anonymous_text;
use crate::credential;
use crate::escape::unescaped;
use crate::names;
use crate::scrub::Scrub;
use crate::spans::Spans;
use crate::syntax::set_of;
use crate::value::{self, Ends};
use crate::word_list::WordList;

/// What names are made of. An escape of JSON's is told by what follows its backslash.
static NAME: [bool; 256] = {
    let mut set = set_of(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-.$%~");
    let mut byte = 0x80;
    while byte < 256 {
        set[byte] = true;
        byte += 1;
    }
    set
};
/// What may stand behind a name that a value follows.
static BEHIND: [bool; 256] = set_of(b"=:\\\"'`]& \t\r\n>/");
/// Names of what holds a name, and of what holds the value that belongs to it.
static OF_NAMES: WordList<13> = WordList::new([
    "name",
    "key",
    "field",
    "param",
    "parameter",
    "header",
    "id",
    "k",
    "n",
    "attribute",
    "property",
    "label",
    "variable",
]);
static OF_VALUES: WordList<7> = WordList::new(["value", "val", "v", "content", "text", "data", "default"]);
/// Brackets remembered at a time.
const MAX_OPEN: usize = 64;
/// Characters of what is a name and nothing else.
const MAX_NAME: usize = 64;

/// What stands between a name and its value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mark {
    /// `=`, `=>`, `:=`.
    Equals,
    Colon,
    /// A comma or a semicolon between two strings, a blank behind an option of a command or in front of a string.
    Apart,
    /// A tag that ends here, or has attributes.
    Tag,
}

/// A mark, and where the value begins behind it.
#[derive(Clone, Copy, Debug)]
struct Between {
    mark: Mark,
    value_at: usize,
    /// Whether the name had quotes.
    quoted: bool,
}

/// A walk over one text.
pub(crate) struct Walk<'a, 'p, 's> {
    scrub: Scrub<'p>,
    text: &'a [u8],
    /// Whether only the author's names may have a value.
    strict: bool,
    spans: &'s mut Spans,
    /// Brackets that are not closed yet.
    open: Vec<usize>,
}

/// Collects what of `text` must not leave.
pub(crate) fn find(scrub: Scrub<'_>, text: &[u8], strict: bool, spans: &mut Spans) {
    Walk { scrub, text, strict, spans, open: Vec::new() }.walk();
}

impl<'a> Walk<'a, '_, '_> {
    fn walk(mut self) {
        let mut at = 0;
        while let Some(byte) = self.text.get(at).copied() {
            if self.is_name(at, byte) {
                let end = self.name_end(at);
                at = self.word(at, end).max(end);
                continue;
            }
            match byte {
                b'{' | b'[' | b'(' | b'<' if self.open.len() < MAX_OPEN => self.open.push(at),
                b'}' | b']' | b')' | b'>' => drop(self.open.pop()),
                _ => {}
            }
            at += 1;
        }
    }

    fn is_name(&self, at: usize, byte: u8) -> bool {
        NAME[usize::from(byte)] || byte == b'\\' && self.text.get(at + 1) == Some(&b'u')
    }

    fn name_end(&self, start: usize) -> usize {
        let mut at = start;
        while let Some(byte) = self.text.get(at).copied().filter(|byte| self.is_name(at, *byte)) {
            at += if byte == b'\\' { 2 } else { 1 };
        }
        at.min(self.text.len())
    }

    fn slice(&self, start: usize, end: usize) -> &'a [u8] {
        self.text.get(start..end).unwrap_or_default()
    }

    /// The text up to where a name, or an address, at `at` would end: what is looked for behind every word must not be looked for to the end.
    fn near(&self, at: usize) -> &'a [u8] {
        self.text.get(..at.saturating_add(2 * MAX_NAME)).unwrap_or(self.text)
    }

    /// Looks at the word between `start` and `end`; says from where on the walk goes on.
    fn word(&mut self, start: usize, end: usize) -> usize {
        let word = self.slice(start, end);
        if credential::is_known_token(word) {
            self.spans.hide(start, end);
            return end;
        }
        let next = self.text.get(end).copied();
        if matches!(next, Some(b' ' | b'\t' | b'+')) {
            let behind =
                credential::scheme(word).and_then(|is_word| credential::behind_scheme(self.text, end, is_word));
            if let Some((from, to)) = behind {
                self.take(from, to);
                self.spans.hide(from, to);
                return to;
            }
        }
        let between = next.filter(|next| BEHIND[usize::from(*next)]).and_then(|_| self.between(start, end));
        let Some(between) = between else { return end };
        if between.mark != Mark::Tag
            && OF_NAMES.has(word)
            && let Some(to) = self.told_apart(between)
        {
            return to;
        }
        let name = self.whole_name(start, end);
        if self.is_hidden(name, between) {
            return self.hide_value(start, end, between);
        }
        if self.scrub.anonymizes() && between.mark != Mark::Tag && names::of(name).is_personal() {
            let to = value::end(self.near(between.value_at), between.value_at, Ends::Pair).0;
            if let Cow::Owned(anonymous) = anonymous_text(self.slice(between.value_at, to)) {
                self.spans.put(between.value_at, to, Cow::Owned(anonymous));
                return to;
            }
        }
        end
    }

    /// The name with the brackets around it: `user[key]`.
    fn whole_name(&self, start: usize, end: usize) -> &'a [u8] {
        if start == 0 || self.text.get(start - 1) != Some(&b'[') || self.text.get(end) != Some(&b']') {
            return self.slice(start, end);
        }
        let before = self.slice(0, start - 1);
        let len = before.iter().rev().take(MAX_NAME).take_while(|byte| NAME[usize::from(**byte)]).count();
        if len == 0 { self.slice(start, end) } else { self.slice(start - 1 - len, end + 1) }
    }

    fn is_hidden(&self, name: &[u8], between: Between) -> bool {
        let name = unescaped(name);
        if self.scrub.hides_name(&name) || name.contains(&b'\\') {
            return true;
        }
        let is_pair = between.mark == Mark::Equals || between.mark == Mark::Colon && between.quoted;
        self.strict && is_pair && !self.scrub.allows_key(&name)
    }

    /// What stands between the name that ends at `end` and its value; `None` if no value follows.
    fn between(&self, start: usize, end: usize) -> Option<Between> {
        let mut at = end;
        while self.text.get(at) == Some(&b'\\') {
            at += 1;
        }
        let quote = value::quote_len(self.text, at);
        let quoted = quote > 0;
        at += quote;
        if self.text.get(at) == Some(&b']') {
            at += 1;
        }
        let closed = at;
        at = value::skip_space(self.text, at);
        let at_value =
            |mark, len: usize| Some(Between { mark, value_at: value::skip_space(self.text, at + len), quoted });
        let rest = self.text.get(at..).unwrap_or_default();
        match rest {
            [b'=', b'>' | b'=', ..] | [b':', b'=', ..] => at_value(Mark::Equals, 2),
            [b'=', ..] => at_value(Mark::Equals, 1),
            [b'>', ..] | [b'/', b'>', ..] if self.is_tag(start) => {
                Some(Between { mark: Mark::Tag, value_at: at, quoted })
            }
            [first, ..] if at > closed && first.is_ascii_alphabetic() && self.is_tag(start) => {
                Some(Between { mark: Mark::Tag, value_at: at, quoted })
            }
            [b':', b'/', b'/', ..] | [] => None,
            // The end of a path.
            [b':', ..] if !quoted && self.slice(0, start).ends_with(b"/") => None,
            [b':', ..] => at_value(Mark::Colon, 1),
            [b',', ..] if quoted && self.begins_string(start) => at_value(Mark::Apart, 1),
            [b';', kind, b':', ..] if quoted && b"sidbaONC".contains(kind) => {
                Some(Between { mark: Mark::Apart, value_at: at + 1, quoted })
            }
            // --password x
            [_, ..] if at > closed && self.slice(start, end).starts_with(b"--") => at_value(Mark::Apart, 0),
            // password "x"; a parser's complaint about one character is none.
            [b'"' | b'\'', ..] if at > closed && !quoted => {
                let to = value::end(self.near(at), at, Ends::Pair).0;
                if to - at > 5 { at_value(Mark::Apart, 0) } else { None }
            }
            _ => None,
        }
    }

    /// Whether the word at `start` is the name of a tag, maybe behind that of its namespace.
    fn is_tag(&self, start: usize) -> bool {
        match self.slice(0, start) {
            [.., b'<'] => true,
            [before @ .., b':'] => {
                let len = before.iter().rev().take(MAX_NAME).take_while(|byte| byte.is_ascii_alphanumeric()).count();
                before.get(..before.len() - len).is_some_and(|before| before.ends_with(b"<"))
            }
            _ => false,
        }
    }

    /// Whether the string that the word ends begins with it.
    fn begins_string(&self, start: usize) -> bool {
        matches!(self.slice(0, start), [.., b'"' | b'\'' | b'`'] | [.., b'&', b'q', b'u', b'o', b't', b';'])
    }

    /// Hides the value of the name between `start` and `end`; says where it ends.
    fn hide_value(&mut self, start: usize, end: usize, between: Between) -> usize {
        let Between { mark, mut value_at, quoted } = between;
        if mark == Mark::Tag {
            return self.hide_element(start, end, value_at);
        }
        if mark == Mark::Apart {
            value_at = self.apart(value_at);
        }
        let name = self.slice(start, end);
        let ends = match mark {
            // Cookies and credentials have blanks between their parts.
            Mark::Colon if !quoted && (names::is_of_many_parts(name) || is_header(name)) => {
                match self.slice(0, start).last() {
                    Some(quote @ (b'"' | b'\'' | b'`')) => Ends::Quote(*quote),
                    _ => Ends::Line,
                }
            }
            Mark::Colon => Ends::Item,
            _ => Ends::Pair,
        };
        let (mut to, is_string) = value::end(self.text, value_at, ends);
        let (mut from, mut inner_to) = (value_at, to);
        if is_string {
            (from, inner_to) = value::inside(self.text, value_at, to);
        } else if matches!(self.text.get(to), Some(b' ' | b'\t')) {
            let word = self.slice(value_at, to);
            if let Some((_, credential_to)) =
                credential::scheme(word).and_then(|_| credential::behind_scheme(self.text, to, false))
            {
                (to, inner_to) = (credential_to, credential_to);
            }
        }
        // A type in front of it: `$password: String = "…"`.
        let equals = value::skip_any(self.near(to), to, b" ");
        if mark == Mark::Colon && !is_string && self.text.get(equals) == Some(&b'=') {
            let value_at = value::skip_space(self.text, equals + 1);
            to = value::end(self.text, value_at, Ends::Item).0;
            self.take(value_at, to);
            self.spans.hide(from, to);
            return to;
        }
        self.take(from, inner_to);
        // What had no quotes where all else has some.
        if quoted && !is_string && mark == Mark::Colon && self.slice(0, end).contains(&b'"') {
            self.spans.hide_quoted(from, inner_to);
        } else {
            self.spans.hide(from, inner_to);
        }
        to
    }

    /// Where the value is that stands apart from its name, maybe behind a word that says so.
    fn apart(&self, at: usize) -> usize {
        let start = at + value::quote_len(self.text, at);
        let end = self.name_end(start);
        if OF_VALUES.has(self.slice(start, end))
            && let Some(between) = self.between(start, end)
            && matches!(between.mark, Mark::Equals | Mark::Colon)
        {
            return between.value_at;
        }
        // s:7:"…", a:2:{…}
        if let [kind, b':', rest @ ..] = self.text.get(at..).unwrap_or_default()
            && b"saONC".contains(kind)
        {
            let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
            if rest.get(digits) == Some(&b':') {
                let inner = at + 2 + digits + 1;
                let slashes =
                    self.text.get(inner..).unwrap_or_default().iter().take_while(|byte| **byte == b'\\').count();
                return if matches!(self.text.get(inner + slashes), Some(b'{' | b'"')) { inner } else { at };
            }
        }
        at
    }

    /// Hides what is in the element whose tag's name is between `start` and `end`, attributes included.
    fn hide_element(&mut self, start: usize, end: usize, attributes_at: usize) -> usize {
        let rest = self.text.get(attributes_at..).unwrap_or_default();
        let close = memchr(b'>', rest).map_or(self.text.len(), |at| attributes_at + at);
        let is_empty = close > attributes_at && self.text.get(close - 1) == Some(&b'/');
        self.spans.hide(attributes_at, close - usize::from(is_empty));
        if is_empty || close >= self.text.len() {
            return close;
        }
        let name = self.slice(start, end);
        let content = self.text.get(close + 1..).unwrap_or_default();
        let mut searched = 0;
        let mut len = content.len();
        // The prefix of a namespace may stand in front of the name.
        for at in memmem::find_iter(content, name) {
            let before = content.get(searched..at).unwrap_or_default();
            if let Some(slash) = before.windows(2).rposition(|pair| pair == b"</")
                && before.len() - slash < MAX_NAME
                && !before.get(slash..).is_some_and(|tag| tag.contains(&b'>'))
            {
                len = searched + slash;
                break;
            }
            searched = at;
        }
        self.take(close + 1, close + 1 + len);
        self.spans.hide(close + 1, close + 1 + len);
        close + 1 + len
    }

    /// `"name":"password","value":"…"`: hides all that the name may be the name of, if the value of a name's name is one that must not be told.
    fn told_apart(&mut self, between: Between) -> Option<usize> {
        let near = self.near(between.value_at);
        let (to, is_string) = value::end(near, between.value_at, Ends::Item);
        let (from, inner_to) =
            if is_string { value::inside(near, between.value_at, to) } else { (between.value_at, to) };
        let name = self.slice(from, inner_to);
        if name.is_empty() || name.len() > MAX_NAME || !name.iter().all(|byte| NAME[usize::from(*byte)]) {
            return None;
        }
        if !self.scrub.hides_name(name) {
            return None;
        }
        if let Some(open) = self.open.last().copied().filter(|_| is_string) {
            let close = if self.text.get(open) == Some(&b'<') {
                let gt = self.text.get(to..).and_then(|rest| memchr(b'>', rest)).map_or(self.text.len(), |at| to + at);
                let content =
                    self.text.get(gt..).and_then(|rest| memchr(b'<', rest)).map_or(self.text.len(), |at| gt + at);
                if gt < content {
                    self.take(gt + 1, content);
                    self.spans.hide(gt + 1, content);
                }
                gt
            } else {
                value::nest_end(self.text, open).saturating_sub(1).max(to)
            };
            self.spans.hide(open + 1, close);
            return Some(close);
        }
        let next = value::skip_any(self.text, to, b",;& \t\r\n");
        let value_at = self.apart(next);
        if value_at != next {
            let (end, is_string) = value::end(self.text, value_at, Ends::Pair);
            let (from, inner_to) = if is_string { value::inside(self.text, value_at, end) } else { (value_at, end) };
            self.take(from, inner_to);
            self.spans.hide(from, inner_to);
            return Some(end);
        }
        if !is_string || next >= self.text.len() {
            return None;
        }
        self.spans.hide(next, self.text.len());
        Some(self.text.len())
    }

    /// Takes note of a value that is hidden.
    fn take(&self, start: usize, end: usize) {
        self.scrub.take_secret(self.slice(start, end));
    }
}

/// Whether `name` is spelled as that of a header: `X-Auth-Token`.
fn is_header(name: &[u8]) -> bool {
    name.first().is_some_and(u8::is_ascii_uppercase) && name.contains(&b'-')
}
