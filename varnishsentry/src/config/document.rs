// SPDX-License-Identifier: BSD-2-Clause
//! What the files say, put together, with the places where they say it.

use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problem::{Place, Problems};

/// A value as it is written.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    Text(String),
    Integer(i64),
    Real(f64),
    Flag(bool),
    Table(Table),
    List(Vec<Value>),
    /// What no setting is, by what it is called: a date, a whole number that is too large.
    Other(&'static str),
}

/// A key with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    pub key: String,
    pub place: Place,
    pub value: Value,
}

/// A table: a section of the configuration.
#[derive(Clone, Debug, PartialEq)]
pub struct Table {
    /// Its keys from the top, with dots between them; empty for the top itself.
    pub path: String,
    pub place: Place,
    pub entries: Vec<Entry>,
}

impl Value {
    /// What it is, for a sentence.
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Text(_) => "a text",
            Value::Integer(_) => "a whole number",
            Value::Real(_) => "a number",
            Value::Flag(_) => "true or false",
            Value::Table(_) => "a section",
            Value::List(_) => "a list",
            Value::Other(kind) => kind,
        }
    }
}

impl Table {
    pub fn get(&self, key: &str) -> Option<&Entry> {
        self.entries.iter().find(|entry| entry.key == key)
    }

    /// The keys that lead to `key` in here.
    pub fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// The table under a key. What is there else is said elsewhere.
    pub fn table(&self, key: &str) -> Option<&Table> {
        match &self.get(key)?.value {
            Value::Table(table) => Some(table),
            _ => None,
        }
    }

    /// Adds what another file says: sections are joined, lists of sections go on, and anything else may be said once.
    pub fn join(&mut self, other: Table, problems: &mut Problems) {
        for entry in other.entries {
            let path = self.path_of(&entry.key);
            let Some(known) = self.entries.iter_mut().find(|known| known.key == entry.key) else {
                self.entries.push(entry);
                continue;
            };
            match (&mut known.value, entry.value) {
                (Value::Table(known), Value::Table(more)) => known.join(more, problems),
                (Value::List(known), Value::List(more)) if is_of_tables(known) && is_of_tables(&more) => {
                    known.extend(more);
                }
                _ => {
                    let Place { file, line } = &known.place;
                    problems.add(&entry.place, format!("{path} is already set at {}:{line}", file.display()));
                }
            }
        }
    }
}

fn is_of_tables(list: &[Value]) -> bool {
    list.iter().all(|value| matches!(value, Value::Table(_)))
}

/// Reads the text of a file. Of one that is no TOML it is said where that begins, and nothing of it is quoted: a line may hold a key.
pub fn parse(file: &Arc<Path>, text: &str, problems: &mut Problems) -> Table {
    let lines = Lines { file, text };
    match DeTable::parse(text) {
        Ok(table) => lines.table(table.into_inner(), lines.place(0), String::new()),
        Err(error) => {
            let place = lines.place(error.span().map_or(0, |span| span.start));
            problems.add(&place, format!("not TOML: {}", first_line(error.message())));
            Table { path: String::new(), place: lines.place(0), entries: Vec::new() }
        }
    }
}

fn first_line(text: &str) -> &str {
    text.lines().next().unwrap_or_default()
}

struct Lines<'f> {
    file: &'f Arc<Path>,
    text: &'f str,
}

impl Lines<'_> {
    fn place(&self, at: usize) -> Place {
        let before = self.text.as_bytes().get(..at).unwrap_or_default();
        Place { file: Arc::clone(self.file), line: 1 + before.iter().filter(|byte| **byte == b'\n').count() }
    }

    fn table(&self, table: DeTable<'_>, place: Place, path: String) -> Table {
        let mut made = Table { path, place, entries: Vec::new() };
        for (key, value) in table {
            let place = self.place(key.span().start);
            let key = key.into_inner().into_owned();
            let value = self.value(value, &place, made.path_of(&key));
            made.entries.push(Entry { key, place, value });
        }
        // By where they stand, not by the alphabet.
        made.entries.sort_by_key(|entry| entry.place.line);
        made
    }

    fn value(&self, value: Spanned<DeValue<'_>>, place: &Place, path: String) -> Value {
        match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned()),
            DeValue::Integer(number) => match i64::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Integer(number),
                Err(_) => Value::Other("a whole number that is too large"),
            },
            DeValue::Float(number) => number.as_str().parse().map_or(Value::Other("a number"), Value::Real),
            DeValue::Boolean(flag) => Value::Flag(flag),
            DeValue::Datetime(_) => Value::Other("a date"),
            DeValue::Array(list) => {
                let of = |value: Spanned<DeValue<'_>>| {
                    let place = self.place(value.span().start);
                    self.value(value, &place, path.clone())
                };
                Value::List(list.into_iter().map(of).collect())
            }
            DeValue::Table(table) => Value::Table(self.table(table, place.clone(), path)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(texts: &[&str]) -> (Table, Vec<String>) {
        let mut problems = Problems::default();
        let mut tables = texts.iter().zip(1..).map(|(text, number)| {
            let file = Arc::from(Path::new(&format!("/{number}.toml")));
            parse(&file, text, &mut problems)
        });
        let tables: Vec<_> = tables.by_ref().collect();
        let mut tables = tables.into_iter();
        let mut all = tables.next().unwrap();
        tables.for_each(|table| all.join(table, &mut problems));
        let told = problems.or(()).err().unwrap_or_default();
        (all, told.iter().map(ToString::to_string).collect())
    }

    #[test]
    fn each_value_is_known_by_its_line_and_its_path() {
        let (top, problems) = read(&["a = 1\n\n[worker.shop]\nb = 'x'\n[[worker.shop.ignore]]\nurl = \"^/\"\n"]);
        assert_eq!(problems, [""; 0]);
        let shop = top.table("worker").and_then(|workers| workers.table("shop")).unwrap();
        assert_eq!((&*shop.path, shop.get("b").map(|entry| entry.place.line)), ("worker.shop", Some(4)));
        assert_eq!(shop.path_of("b"), "worker.shop.b");
        let Some(Value::List(rules)) = shop.get("ignore").map(|entry| &entry.value) else { panic!("no list") };
        let Some(Value::Table(rule)) = rules.first() else { panic!("no section") };
        assert_eq!((&*rule.path, rule.get("url").map(|url| url.place.line)), ("worker.shop.ignore", Some(6)));
        assert_eq!(top.get("a").map(|entry| &entry.value), Some(&Value::Integer(1)));
    }

    #[test]
    fn files_are_joined_and_what_two_of_them_say_is_named_with_both_places() {
        let (top, problems) = read(&[
            "dsn = 'one'\n[queue]\nevents = 1\n[[ignore]]\nurl = 'a'\n",
            "[queue]\nbytes = 2\n[[ignore]]\nurl = 'b'\n",
            "environment = 'x'\ndsn = 'two'\n[queue.events]\n",
        ]);
        let expected =
            ["/3.toml:2: dsn is already set at /1.toml:1", "/3.toml:3: queue.events is already set at /1.toml:3"];
        assert_eq!(problems, expected);
        assert_eq!(top.table("queue").map(|queue| queue.entries.len()), Some(2));
        assert!(matches!(top.get("ignore").map(|entry| &entry.value), Some(Value::List(rules)) if rules.len() == 2));
    }

    #[test]
    fn what_is_no_toml_is_said_with_its_line_and_not_quoted() {
        for (text, told) in [
            ("a = 1\ndsn = https://s3cret@h/1\n", "/1.toml:2: not TOML: "),
            ("dsn = 's3cret\n", "/1.toml:1: not TOML: "),
            ("dsn = 's3cret'\ndsn = 's3cret'\n", "/1.toml:2: not TOML: duplicate key"),
            ("[queue]\n[queue]\n", "/1.toml:2: not TOML: duplicate key"),
            ("s3cret@h", "/1.toml:1: not TOML: "),
        ] {
            let (_, problems) = read(&[text]);
            assert!(problems.len() == 1 && problems[0].starts_with(told), "{problems:?} of {text}");
            assert!(!problems[0].contains("s3cret") && !problems[0].contains('\n'), "{problems:?}");
        }
    }

    #[test]
    fn whatever_a_value_is_it_has_a_name() {
        let (top, _) =
            read(&["a = 1979-05-27\nb = 99999999999999999999\nc = 0x10\nd = 1e3\ne = inf\nf = []\ng = {}\nh = true\n"]);
        let kinds: Vec<_> = top.entries.iter().map(|entry| entry.value.kind()).collect();
        let expected = [
            "a date",
            "a whole number that is too large",
            "a whole number",
            "a number",
            "a number",
            "a list",
            "a section",
            "true or false",
        ];
        assert_eq!(kinds, expected);
        assert_eq!(top.get("c").map(|entry| &entry.value), Some(&Value::Integer(16)));
    }
}
