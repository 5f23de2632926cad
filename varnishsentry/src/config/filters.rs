// SPDX-License-Identifier: BSD-2-Clause
//! The operator's own filters, by tags, and the rules for what is no event and what is changed in one.

use std::sync::Arc;

use event::capture::level::Level;
use event::rules::before_send::Edit;
use event::rules::ignore::{Expressions, Rule as IgnoreRule, RuleError, Rules};
use event::rules::watch::{Rule, Watch};
use transaction::tags::Tags;

use super::document::{Entry, Table, Value};
use super::problem::Problems;
use super::schema::{FILTER, Section, WORKER, find};
use super::values::{Values, check_keys};

/// A filter as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Filter {
    pub tag: &'static str,
    pub regexp: String,
    pub name: String,
    pub level: Level,
}

/// Rules, by what they are made of: two sets of the same rules are equal.
#[derive(Debug)]
pub struct RuleSet<R> {
    pub rules: Rules<R>,
    source: Vec<Vec<String>>,
}

impl<R> Default for RuleSet<R> {
    fn default() -> RuleSet<R> {
        RuleSet { rules: Rules::default(), source: Vec::new() }
    }
}

impl<R> PartialEq for RuleSet<R> {
    fn eq(&self, other: &RuleSet<R>) -> bool {
        self.source == other.source
    }
}

/// The filters of all layers, of which the last one's come first, and the set that they make.
pub fn filters(layers: &[&Table], tags: &Tags, problems: &mut Problems) -> (Vec<Filter>, Watch) {
    let (mut filters, mut watch) = (Vec::new(), Watch::default());
    for layer in layers.iter().rev() {
        let Some(sections) = section_of(layer, "filters", problems) else { continue };
        for entry in &sections.entries {
            let path = sections.path_of(&entry.key);
            let Some(tag) = tags.named(&entry.key) else {
                problems.add(&entry.place, format!("{path}: there is no tag {:?}, see vsl(7)", entry.key));
                continue;
            };
            for table in tables_of(entry, &path, problems) {
                let mut values = values(&FILTER, table, problems);
                let (regexp, name) = (values.text("regexp"), values.text("name"));
                let level = values.word("level").and_then(level_of).unwrap_or(Level::Error);
                // The sentences of the core call it as the module's calls do.
                let rule = Rule::new(tag, regexp, name, level).map(Arc::new);
                let added = rule.and_then(|rule| watch.add(&rule)).map_err(|error| as_written(&error));
                if values.checked(added).is_some() {
                    let (regexp, name) = (regexp.to_owned(), name.to_owned());
                    filters.push(Filter { tag: tag.1, regexp, name, level });
                }
            }
        }
    }
    (filters, watch)
}

/// What the core says of an argument `match`, which a filter calls `regexp`.
fn as_written(error: &RuleError) -> String {
    let text = error.to_string();
    text.strip_prefix("match ").map_or(text.clone(), |rest| format!("regexp {rest}"))
}

/// The rules for what is no event.
pub fn ignore(layers: &[&Table], problems: &mut Problems) -> RuleSet<IgnoreRule> {
    rules(layers, "ignore", problems, |values| IgnoreRule::new(&expressions(values)))
}

/// The rules for what is changed.
pub fn before_send(layers: &[&Table], problems: &mut Problems) -> RuleSet<Edit> {
    rules(layers, "before_send", problems, |values| {
        let level = values.word("set_level").and_then(level_of);
        let remove = values.text("remove");
        Edit::new(&expressions(values), level, remove)
    })
}

fn rules<R>(
    layers: &[&Table],
    name: &str,
    problems: &mut Problems,
    make: impl Fn(&mut Values<'_, '_>) -> Result<R, RuleError>,
) -> RuleSet<R> {
    let mut set = RuleSet::default();
    let Some(section) = find(WORKER, name) else { return set };
    for layer in layers.iter().rev() {
        let Some(entry) = layer.get(name) else { continue };
        for table in tables_of(entry, &layer.path_of(name), problems) {
            let mut values = values(section, table, problems);
            let rule = make(&mut values).map(Arc::new);
            let added = rule.and_then(|rule| set.rules.add(&rule));
            if values.checked(added).is_some() {
                let texts = section.keys.iter().map(|key| values.text(key.name).to_owned());
                set.source.push(texts.collect());
            }
        }
    }
    set
}

fn expressions<'t>(values: &mut Values<'t, '_>) -> Expressions<'t> {
    Expressions {
        message: values.text("message"),
        url: values.text("url"),
        status: values.text("status"),
        user_agent: values.text("user_agent"),
        level: values.text("level"),
    }
}

/// The level of this name; `None` of `off` and `keep`.
pub fn level_of(word: &'static str) -> Option<Level> {
    Level::from_name(word.as_bytes())
}

fn values<'t, 'p>(section: &'static Section, table: &'t Table, problems: &'p mut Problems) -> Values<'t, 'p> {
    check_keys(table, section.keys.iter().map(|key| key.name), problems);
    Values::new(section, vec![table], problems)
}

/// The section `name` of a layer; what is there and none is said.
pub fn section_of<'t>(layer: &'t Table, name: &str, problems: &mut Problems) -> Option<&'t Table> {
    let entry = layer.get(name)?;
    let Value::Table(table) = &entry.value else {
        let path = layer.path_of(name);
        problems.add(&entry.place, format!("{path} must be a section [{path}], got {}", entry.value.kind()));
        return None;
    };
    Some(table)
}

/// The sections of a list; what is there and none is said.
fn tables_of<'t>(entry: &'t Entry, path: &str, problems: &mut Problems) -> Vec<&'t Table> {
    let Value::List(list) = &entry.value else {
        let got = entry.value.kind();
        problems.add(&entry.place, format!("{path} must be of sections [[{path}]], got {got}"));
        return Vec::new();
    };
    let tables = list.iter().filter_map(|value| match value {
        Value::Table(table) => Some(table),
        other => {
            let got = other.kind();
            problems.add(&entry.place, format!("{path} must be of sections [[{path}]], got {got}"));
            None
        }
    });
    tables.collect()
}
