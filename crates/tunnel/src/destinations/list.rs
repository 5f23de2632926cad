// SPDX-License-Identifier: BSD-2-Clause
//! The DSNs that there are, by key and project.

use std::collections::HashMap;
use std::sync::Arc;

use delivery::admission::sample::SampleRate;
use delivery::shared::destination::Destination;
use protocol::dsn::Dsn;

use crate::count::Counts;

/// One of the list.
pub struct Listed {
    /// Where it is sent to: key and project, at `upstream` if there is one.
    pub dsn: Arc<Dsn>,
    /// The DSN that was named, as the JavaScript SDK says it.
    pub sdk_dsn: Arc<str>,
    /// The limits that are in force there.
    pub destination: Arc<Destination>,
    /// What is kept of its project.
    pub share: SampleRate,
    /// What became of its project's requests.
    pub counts: Arc<Counts>,
}

impl std::fmt::Debug for Listed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Listed({})", self.dsn)
    }
}

/// All of them. One that has key and project of an earlier one is not taken.
#[derive(Debug, Default)]
pub struct List {
    /// By key, then by project.
    by_key: HashMap<Box<str>, HashMap<Box<str>, Arc<Listed>>>,
    by_sdk_dsn: HashMap<Arc<str>, Arc<Listed>>,
    in_order: Vec<Arc<Listed>>,
}

/// What came of looking for one.
#[derive(Debug)]
pub enum Found<'l> {
    One(&'l Arc<Listed>),
    None,
    /// The key has several projects, and none was named.
    Several,
}

impl List {
    pub fn add(&mut self, listed: Listed) {
        let (key, project) = (listed.dsn.public_key().into(), listed.dsn.project().into());
        let projects = self.by_key.entry(key).or_default();
        if projects.contains_key(&project) {
            return;
        }
        let listed = Arc::new(listed);
        projects.insert(project, listed.clone());
        self.by_sdk_dsn.insert(listed.sdk_dsn.clone(), listed.clone());
        self.in_order.push(listed);
    }

    /// The one with that key and project, or with that key if no project is named.
    pub fn find(&self, key: &[u8], project: Option<&[u8]>) -> Found<'_> {
        let projects = str::from_utf8(key).ok().and_then(|key| self.by_key.get(key));
        let Some(projects) = projects else { return Found::None };
        match project {
            Some(project) => {
                let listed = str::from_utf8(project).ok().and_then(|project| projects.get(project));
                listed.map_or(Found::None, Found::One)
            }
            None if projects.len() > 1 => Found::Several,
            None => projects.values().next().map_or(Found::None, Found::One),
        }
    }

    /// The one that a browser names by its whole DSN, which need not be taken apart then. `None` says nothing: it may be written in another way.
    pub fn by_sdk_dsn(&self, dsn: &[u8]) -> Option<&Arc<Listed>> {
        self.by_sdk_dsn.get(str::from_utf8(dsn).ok()?)
    }

    /// In the order they were added.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Listed>> {
        self.in_order.iter()
    }

    /// By its place in that order.
    pub fn get(&self, place: usize) -> Option<&Arc<Listed>> {
        self.in_order.get(place)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use delivery::shared::Shared;

    use super::*;

    fn listed(text: &str) -> Listed {
        let dsn = Arc::new(Dsn::parse(text).unwrap());
        let destination = Shared::new(Instant::now()).destination(&dsn, Instant::now());
        let sdk_dsn = text.into();
        Listed { dsn, sdk_dsn, destination, share: SampleRate::new(1.0), counts: Arc::default() }
    }

    #[test]
    fn one_is_found_by_key_and_project_and_by_nothing_else() {
        let mut list = List::default();
        for text in ["https://a@h/1", "https://a@h/2", "https://b@h/3", "https://b@other/3"] {
            list.add(listed(text));
        }
        let find = |key: &str, project: Option<&str>| match list.find(key.as_bytes(), project.map(str::as_bytes)) {
            Found::One(listed) => listed.dsn.to_string(),
            Found::None => "none".to_owned(),
            Found::Several => "several".to_owned(),
        };
        assert_eq!(find("a", Some("2")), "h/2");
        assert_eq!(find("b", Some("3")), "h/3");
        assert_eq!(find("b", None), "h/3");
        assert_eq!(find("a", None), "several");
        for (key, project) in
            [("a", Some("3")), ("A", Some("1")), ("", None), ("c", None), ("b", Some("")), ("b", Some("03"))]
        {
            assert_eq!(find(key, project), "none", "{key} {project:?}");
        }
        assert!(
            matches!(list.find(b"\xff", None), Found::None) && matches!(list.find(b"b", Some(b"\xff")), Found::None)
        );
        let named = |dsn: &str| list.by_sdk_dsn(dsn.as_bytes()).map(|listed| listed.dsn.to_string());
        assert_eq!(named("https://a@h/2").as_deref(), Some("h/2"));
        // Neither one that was not taken nor another way of writing one that was.
        assert_eq!(["https://b@other/3", "https://a@h:443/2", ""].map(named), [const { None }; 3]);
        let all: Vec<_> = list.iter().map(|listed| listed.dsn.to_string()).collect();
        assert_eq!(all, ["h/1", "h/2", "h/3"]);
        assert!(list.get(2).is_some() && list.get(3).is_none());
    }
}
