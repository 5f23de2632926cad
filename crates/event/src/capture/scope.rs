// SPDX-License-Identifier: BSD-2-Clause
//! What a task, or a VCL, adds to its events: tags, extras, user, contexts, breadcrumbs and the rest.
//!
//! A scope is bounded in bytes, so that a VCL that sets a tag in a loop costs the cache nothing.

use std::collections::VecDeque;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::capture::fields::{Field, Fields, Kind};
use crate::capture::fingerprint;
use crate::capture::level::Level;

/// Bytes that all values of one scope may take together.
pub const MAX_SCOPE_SIZE: usize = 32 * 1024;
/// Bytes kept of a breadcrumb's category; Sentry keeps 128 characters.
const MAX_CATEGORY: usize = 512;
/// Breadcrumbs kept: the newest ones, as Sentry's SDKs do by default.
pub const MAX_BREADCRUMBS: usize = 100;

/// The scope is full; the value was not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScopeFull;

/// One named value of a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    kind: Kind,
    name: Box<[u8]>,
    value: Box<[u8]>,
}

impl Entry {
    fn size(&self) -> usize {
        size_of::<Entry>() + self.name.len() + self.value.len()
    }
}

/// The scope of a task or of a VCL.
#[derive(Clone, Debug, Default)]
pub struct Scope {
    entries: Vec<Entry>,
    breadcrumbs: VecDeque<Entry>,
    level: Option<Level>,
    size: usize,
}

impl Scope {
    /// Sets a tag; an older value of that name goes.
    pub fn set_tag(&mut self, name: &[u8], value: &[u8]) -> Result<(), ScopeFull> {
        self.set(Kind::Tag, name, value)
    }

    /// Sets an extra; an older value of that name goes.
    pub fn set_extra(&mut self, name: &[u8], value: &[u8]) -> Result<(), ScopeFull> {
        self.set(Kind::Extra, name, value)
    }

    /// Sets one attribute of the user (`id`, `email`, `username`, `ip_address`, …).
    pub fn set_user(&mut self, attribute: &[u8], value: &[u8]) -> Result<(), ScopeFull> {
        self.set(Kind::User, attribute, value)
    }

    /// Sets one key of the context `context`.
    pub fn set_context(&mut self, context: &[u8], key: &[u8], value: &[u8]) -> Result<(), ScopeFull> {
        self.set(Kind::Context, &[context, b"\0", key].concat(), value)
    }

    /// Sets the level that all events of this scope get, whatever the capture says.
    pub fn set_level(&mut self, level: Level) {
        self.level = Some(level);
    }

    /// The level all events of this scope get, if one was set.
    pub fn level(&self) -> Option<Level> {
        self.level
    }

    /// Sets the name of the transaction.
    pub fn set_transaction(&mut self, name: &[u8]) -> Result<(), ScopeFull> {
        self.set(Kind::Transaction, b"", name)
    }

    /// Sets the parts of the fingerprint: what groups in Sentry and throttles here. Empty ones are left out.
    pub fn set_fingerprint(&mut self, parts: &[&[u8]]) -> Result<(), ScopeFull> {
        self.set(Kind::Fingerprint, b"", &fingerprint::join(parts))
    }

    /// The fingerprint, if one was set: all of its parts in one value.
    pub fn fingerprint(&self) -> Option<&[u8]> {
        self.entries.iter().find(|entry| entry.kind == Kind::Fingerprint).map(|entry| &*entry.value)
    }

    /// Adds a breadcrumb; the oldest goes when there are more than [`MAX_BREADCRUMBS`] or no room is left.
    pub fn add_breadcrumb(
        &mut self,
        at: SystemTime,
        level: Level,
        category: &[u8],
        message: &[u8],
    ) -> Result<(), ScopeFull> {
        let seconds = at.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64();
        // The time stands behind it in the name, which a record cuts at the end.
        let category = category.get(..MAX_CATEGORY).unwrap_or(category);
        let name = [level.as_str().as_bytes(), b"\0", category, b"\0", &seconds.to_le_bytes()].concat();
        let crumb = Entry { kind: Kind::Breadcrumb, name: name.into(), value: message.into() };
        if crumb.size() > MAX_SCOPE_SIZE {
            return Err(ScopeFull);
        }
        while self.breadcrumbs.len() >= MAX_BREADCRUMBS || self.size + crumb.size() > MAX_SCOPE_SIZE {
            let Some(oldest) = self.breadcrumbs.pop_front() else { return Err(ScopeFull) };
            self.size -= oldest.size();
        }
        self.size += crumb.size();
        self.breadcrumbs.push_back(crumb);
        Ok(())
    }

    /// Writes the scope into a record.
    pub fn write(&self, fields: &mut Fields) {
        for entry in self.entries.iter().chain(&self.breadcrumbs) {
            fields.put(entry.kind, &entry.name, &entry.value);
        }
    }

    /// Reads the scope as the fields it writes.
    pub fn fields(&self) -> impl Iterator<Item = Field<'_>> {
        let entries = self.entries.iter().chain(&self.breadcrumbs);
        entries.map(|entry| Field { kind: entry.kind, name: &entry.name, value: &entry.value })
    }

    fn set(&mut self, kind: Kind, name: &[u8], value: &[u8]) -> Result<(), ScopeFull> {
        let entry = Entry { kind, name: name.into(), value: value.into() };
        let old = self.entries.iter().position(|other| other.kind == kind && *other.name == *name);
        let freed = old.and_then(|at| self.entries.get(at)).map_or(0, Entry::size);
        let size = self.size - freed + entry.size();
        if size > MAX_SCOPE_SIZE {
            return Err(ScopeFull);
        }
        self.size = size;
        match old.and_then(|at| self.entries.get_mut(at)) {
            Some(slot) => *slot = entry,
            None => self.entries.push(entry),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(scope: &Scope) -> Vec<(Kind, String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        scope.fields().map(|field| (field.kind, text(field.name), text(field.value))).collect()
    }

    #[test]
    fn a_second_value_of_a_name_replaces_the_first_and_kinds_do_not_mix() {
        let mut scope = Scope::default();
        scope.set_tag(b"k", b"1").unwrap();
        scope.set_extra(b"k", b"2").unwrap();
        scope.set_tag(b"k", b"3").unwrap();
        assert_eq!(names(&scope), [(Kind::Tag, "k".into(), "3".into()), (Kind::Extra, "k".into(), "2".into())]);
    }

    #[test]
    fn a_full_scope_refuses_and_stays_as_it_was() {
        let mut scope = Scope::default();
        scope.set_tag(b"k", b"small").unwrap();
        assert_eq!(scope.set_tag(b"k", &[b'x'; MAX_SCOPE_SIZE]), Err(ScopeFull));
        assert_eq!(names(&scope), [(Kind::Tag, "k".into(), "small".into())]);
        assert_eq!(scope.set_tag(b"other", b"fits"), Ok(()));
    }

    #[test]
    fn what_replaces_a_value_takes_the_room_that_it_had() {
        let mut scope = Scope::default();
        let large = [b'x'; MAX_SCOPE_SIZE * 2 / 3];
        assert_eq!([&large, &large, &large].map(|value| scope.set_tag(b"k", value)), [Ok(()); 3]);
        assert_eq!(scope.set_tag(b"other", &large), Err(ScopeFull));
        scope.set_tag(b"k", b"small").unwrap();
        assert_eq!(scope.set_tag(b"other", &large), Ok(()));
    }

    #[test]
    fn the_fingerprint_is_told_in_one_value() {
        let mut scope = Scope::default();
        scope.set_tag(b"k", b"v").unwrap();
        assert_eq!(scope.fingerprint(), None);
        scope.set_fingerprint(&[b"checkout", b"503"]).unwrap();
        assert_eq!(scope.fingerprint(), Some(&*fingerprint::join(&[b"checkout", b"503"])));
    }

    #[test]
    fn the_newest_hundred_breadcrumbs_stay() {
        let mut scope = Scope::default();
        for number in 0..=MAX_BREADCRUMBS {
            scope.add_breadcrumb(UNIX_EPOCH, Level::Info, b"vcl", number.to_string().as_bytes()).unwrap();
        }
        assert_eq!(scope.breadcrumbs.len(), MAX_BREADCRUMBS);
        assert_eq!(scope.breadcrumbs.front().map(|crumb| &*crumb.value), Some(&b"1"[..]));
    }

    #[test]
    fn a_long_category_leaves_the_time_in_the_name() {
        let mut scope = Scope::default();
        scope.add_breadcrumb(UNIX_EPOCH, Level::Info, &[b'c'; 2000], b"m").unwrap();
        let name = scope.fields().next().map(|field| field.name.to_vec()).unwrap();
        assert_eq!((name.len(), name.last_chunk()), ("info".len() + 1 + MAX_CATEGORY + 1 + 8, Some(&[0; 8])));
    }

    #[test]
    fn breadcrumbs_give_way_to_a_new_one_but_not_tags() {
        let mut scope = Scope::default();
        scope.set_tag(b"k", &[b't'; MAX_SCOPE_SIZE / 2]).unwrap();
        let third = [b'c'; MAX_SCOPE_SIZE / 3];
        scope.add_breadcrumb(UNIX_EPOCH, Level::Info, b"a", &third).unwrap();
        scope.add_breadcrumb(UNIX_EPOCH, Level::Info, b"b", &third).unwrap();
        assert_eq!(scope.breadcrumbs.len(), 1);
        assert_eq!(scope.add_breadcrumb(UNIX_EPOCH, Level::Info, b"c", &[0; MAX_SCOPE_SIZE]), Err(ScopeFull));
        assert_eq!(scope.entries.len(), 1);
    }
}
