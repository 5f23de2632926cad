// SPDX-License-Identifier: BSD-2-Clause
//! The values of one section: those that a worker says itself, before those that stand at the top.

use super::document::{Entry, Table, Value};
use super::problem::{Place, Problems};
use super::schema::{Form, Section};

/// Reads a section, setting by setting. What is not set, or cannot be meant, is as by default; the latter is said.
pub struct Values<'t, 'p> {
    section: &'static Section,
    /// The first one that has a key counts.
    layers: Vec<&'t Table>,
    problems: &'p mut Problems,
}

impl<'t, 'p> Values<'t, 'p> {
    /// The values in `layers`, each of which is such a section.
    pub fn new(section: &'static Section, layers: Vec<&'t Table>, problems: &'p mut Problems) -> Values<'t, 'p> {
        Values { section, layers, problems }
    }

    fn find(&self, key: &str) -> Option<(&'t Table, &'t Entry)> {
        self.layers.iter().find_map(|table| Some((*table, table.get(key)?)))
    }

    /// Whether somebody has said something of it.
    pub fn has(&self, key: &str) -> bool {
        self.find(key).is_some()
    }

    /// What `read` makes of a value that is set; `None` if it is not. One that another one stands before is to be right as well.
    fn value<T>(&mut self, key: &str, expected: &str, read: impl Fn(&'t Value) -> Option<T>) -> Option<T> {
        let form = self.section.keys.iter().find(|known| known.name == key).map(|known| known.form);
        let mut first = None;
        for (table, entry) in self.layers.iter().filter_map(|table| Some((*table, table.get(key)?))) {
            let value = read(&entry.value);
            if value.is_none() {
                let got = shown(&entry.value, form == Some(Form::Secret));
                self.problems.add(&entry.place, format!("{} must be {expected}, got {got}", table.path_of(key)));
            }
            first.get_or_insert(value);
        }
        first.flatten()
    }

    /// A text; empty if it is not set.
    pub fn text(&mut self, key: &str) -> &'t str {
        let text = |value: &'t Value| match value {
            Value::Text(text) => Some(&**text),
            _ => None,
        };
        self.value(key, "a text in quotes", text).unwrap_or_default()
    }

    /// One of the words of its form; `None` if it is not set.
    pub fn word(&mut self, key: &str) -> Option<&'static str> {
        let form = self.section.keys.iter().find(|known| known.name == key)?.form;
        let Form::Word(words) = form else { return None };
        let word = |value: &Value| match value {
            Value::Text(text) => words.iter().find(|word| *word == text).copied(),
            _ => None,
        };
        self.value(key, &format!("one of {}", words.join(", ")), word)
    }

    pub fn integer(&mut self, key: &str, default: i64) -> i64 {
        let integer = |value: &Value| match value {
            Value::Integer(number) => Some(*number),
            _ => None,
        };
        self.value(key, "a whole number", integer).unwrap_or(default)
    }

    /// A number; `None` if it is not set.
    pub fn real(&mut self, key: &str) -> Option<f64> {
        self.value(key, "a number", real)
    }

    pub fn flag(&mut self, key: &str, default: bool) -> bool {
        let flag = |value: &Value| match value {
            Value::Flag(flag) => Some(*flag),
            _ => None,
        };
        self.value(key, "true or false", flag).unwrap_or(default)
    }

    /// A number of seconds.
    pub fn seconds(&mut self, key: &str, default: f64) -> f64 {
        const UNITS: [(&str, f64); 6] =
            [("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0), ("d", 86_400.0), ("w", 604_800.0)];
        let seconds = |value: &Value| match value {
            Value::Text(text) => with_unit(text, &UNITS),
            value => real(value),
        };
        self.value(key, "a number of seconds, or a text like \"500ms\", \"30s\", \"5m\", \"1h\" or \"7d\"", seconds)
            .unwrap_or(default)
    }

    /// A number of bytes.
    pub fn bytes(&mut self, key: &str, default: i64) -> i64 {
        const UNITS: [(&str, f64); 4] =
            [("KB", 1024.0), ("MB", 1_048_576.0), ("GB", 1_073_741_824.0), ("TB", 1_099_511_627_776.0)];
        let bytes = |value: &Value| match value {
            Value::Integer(number) => Some(*number),
            // `as` saturates.
            Value::Text(text) => with_unit(text, &UNITS).map(|bytes| bytes as i64),
            _ => None,
        };
        self.value(key, "a number of bytes, or a text like \"64KB\", \"16MB\" or \"1GB\"", bytes).unwrap_or(default)
    }

    /// Says that what is set cannot be meant, in a sentence that begins with the name of the setting, if it is about one.
    pub fn refuse(&mut self, sentence: &str) {
        let about = self.section.keys.iter().find(|key| {
            let rest = sentence.strip_prefix(key.name);
            rest.is_some_and(|rest| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_'))
        });
        if let Some((table, entry)) = about.and_then(|key| self.find(key.name)) {
            let prefix = table.path_of("");
            return self.problems.add(&entry.place, format!("{prefix}{sentence}"));
        }
        if let Some(table) = self.layers.first() {
            let (place, path) = (self.place(), &table.path);
            let text = if path.is_empty() { sentence.to_owned() } else { format!("{path}: {sentence}") };
            self.problems.add(&place, text);
        }
    }

    /// What is right of what was checked, and a sentence about what is not.
    pub fn checked<T, E: ToString>(&mut self, checked: Result<T, E>) -> Option<T> {
        checked.map_err(|error| self.refuse(&error.to_string())).ok()
    }

    /// Where the first of its layers stands, or, of one that is the top, the first thing that is set.
    fn place(&self) -> Place {
        let table = self.layers.first();
        let first = |table: &&Table| table.entries.first().map(|entry| entry.place.clone());
        let place = table.filter(|table| table.path.is_empty()).and_then(first);
        place.or_else(|| table.map(|table| table.place.clone())).unwrap_or_else(Place::nowhere)
    }
}

/// Says of each key that is none. Its value is not quoted: who knows what it was meant to be.
pub fn check_keys<'k>(table: &Table, known: impl Iterator<Item = &'k str> + Clone, problems: &mut Problems) {
    for entry in &table.entries {
        if !known.clone().any(|key| key == entry.key) {
            let known: Vec<_> = known.clone().collect();
            let path = table.path_of(&entry.key);
            problems.add(&entry.place, format!("{path} is unknown, expected one of {}", known.join(", ")));
        }
    }
}

/// A value for a sentence.
pub fn shown(value: &Value, is_secret: bool) -> String {
    match value {
        _ if is_secret => format!("{} that is not shown", value.kind()),
        Value::Text(text) => format!("{text:?}"),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) => number.to_string(),
        Value::Flag(flag) => flag.to_string(),
        Value::Table(_) | Value::List(_) | Value::Other(_) => value.kind().to_owned(),
    }
}

fn real(value: &Value) -> Option<f64> {
    match value {
        // Exact up to 2^53, and no range goes that far.
        Value::Integer(number) => Some(*number as f64),
        Value::Real(number) => Some(*number),
        _ => None,
    }
}

/// A number with one of the units, in any case, or without.
fn with_unit(text: &str, units: &[(&str, f64)]) -> Option<f64> {
    let unit_at = text.find(|c: char| c.is_ascii_alphabetic()).unwrap_or(text.len());
    let (number, unit) = text.split_at_checked(unit_at)?;
    let number: f64 = number.trim_end().parse().ok()?;
    let is_unit = |known: &&(&str, f64)| known.0.eq_ignore_ascii_case(unit) || is_short_for(unit, known.0);
    match unit {
        "" => Some(number),
        _ => units.iter().find(is_unit).map(|(_, factor)| number * factor),
    }
}

/// `k` for `KB`, and so on.
fn is_short_for(unit: &str, long: &str) -> bool {
    long.strip_suffix('B').is_some_and(|short| short.eq_ignore_ascii_case(unit))
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::config::document::parse;
    use crate::config::schema::{WORKER, find};

    fn read<T>(section: &str, texts: &[&str], read: impl FnOnce(&mut Values<'_, '_>) -> T) -> (T, Vec<String>) {
        let mut problems = Problems::default();
        let tables: Vec<_> = texts.iter().map(|text| parse(&Arc::from(Path::new("/f")), text, &mut problems)).collect();
        let mut values = Values::new(find(WORKER, section).unwrap(), tables.iter().collect(), &mut problems);
        let read = read(&mut values);
        let told = problems.or(()).err().unwrap_or_default();
        (read, told.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn the_first_layer_that_has_a_key_counts() {
        let (numbers, problems) = read("queue", &["events = 5", "events = 6\nbytes = '64k'"], |values| {
            (values.integer("events", 1), values.bytes("bytes", 2))
        });
        assert_eq!((numbers, problems), ((5, 65_536), vec![]));
        let (number, problems) =
            read("queue", &["events = 5", "events = 1979-05-27"], |values| values.integer("events", 1));
        assert_eq!((number, problems), (5, vec!["/f:1: events must be a whole number, got a date".to_owned()]));
    }

    #[test]
    fn times_and_sizes_have_units() {
        for (text, seconds) in [
            ("3", Some(3.0)),
            ("0.5", Some(0.5)),
            ("\"250ms\"", Some(0.25)),
            ("\"1.5 h\"", Some(5400.0)),
            ("\"7d\"", Some(604_800.0)),
            ("\"2\"", Some(2.0)),
            ("\"7 days\"", None),
            ("\"s\"", None),
            ("true", None),
        ] {
            let (read, problems) = read("spool", &[&format!("age = {text}")], |values| values.seconds("age", -1.0));
            assert_eq!((read, problems.len()), (seconds.unwrap_or(-1.0), usize::from(seconds.is_none())), "{text}");
        }
        for (text, bytes) in [("1", Some(1)), ("\"16MB\"", Some(16 << 20)), ("\"2g\"", Some(2 << 30)), ("1.5", None)] {
            let (read, problems) = read("spool", &[&format!("bytes = {text}")], |values| values.bytes("bytes", -1));
            assert_eq!((read, problems.len()), (bytes.unwrap_or(-1), usize::from(bytes.is_none())), "{text}");
        }
    }

    #[test]
    fn what_is_of_another_form_is_said_and_a_secret_is_not_quoted() {
        let (_, problems) = read("server", &["\nproxy = 7\nconnections = \"two\""], |values| {
            (values.text("proxy").len(), values.integer("connections", 2))
        });
        let expected = [
            "/f:2: proxy must be a text in quotes, got a whole number that is not shown",
            "/f:3: connections must be a whole number, got \"two\"",
        ];
        assert_eq!(problems, expected);
    }

    #[test]
    fn a_sentence_is_said_where_the_setting_stands_that_it_is_about() {
        let (_, problems) = read("server", &["\ntimeout = 7\nconnect_timeout = 8"], |values| {
            values.refuse("connect_timeout must be between 0.01s and 60s, got 8s");
            values.refuse("timeout must be less");
            values.refuse("client_key is given without client_cert");
        });
        let expected = [
            "/f:3: connect_timeout must be between 0.01s and 60s, got 8s",
            "/f:2: timeout must be less",
            "/f:2: client_key is given without client_cert",
        ];
        assert_eq!(problems, expected);
    }
}
