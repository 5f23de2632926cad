// SPDX-License-Identifier: BSD-2-Clause
//! The daemon's configuration: what is taken means the same when it is written down anew, in another order of quotes, dots and brackets; what is refused is told with file, line and key, in one line
//! each, and without the secrets that stand there.
#![no_main]

use std::fmt::Write;
use std::path::Path;
use std::sync::Arc;

use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use varnishsentry::config::document::{Table, Value, parse};
use varnishsentry::config::load::{Config, load_text};
use varnishsentry::config::problem::{Problem, Problems};
use varnishsentry::config::schema::{FILTER, Form, GLOBAL, Key, Section, WORKER};
use varnishsentry::config::worker::Surroundings;

const FILE: &str = "/f";
const SECRET: &str = "hunter2hunter2";
/// What secrets may look like.
const SECRETS: [&str; 10] = [
    "\"https://hunter2hunter2@h/1\"",
    "'https://hunter2hunter2:hunter2hunter2@h'",
    "https://hunter2hunter2@h/1",
    "\"https://hunter2hunter2@h/1",
    "\"http://u:hunter2hunter2@h:1\"",
    "\"ftp://u:hunter2hunter2@h:1\"",
    "'hunter2hunter2'",
    "hunter2hunter2",
    "[\"hunter2hunter2\"]",
    "{a = \"hunter2hunter2\"}",
];
/// Values of all forms.
const VALUES: [&str; 18] = [
    "1",
    "-1",
    "0x10",
    "1.5",
    "nan",
    "inf",
    "true",
    "\"\"",
    "'x'",
    "\"/x\"",
    "\"64KB\"",
    "\"1h\"",
    "\"off\"",
    "[]",
    "[1]",
    "{}",
    "1979-05-27",
    "99999999999999999999",
];

fn sections() -> impl Iterator<Item = &'static Section> {
    GLOBAL.iter().chain(WORKER).chain([&FILTER])
}

/// A value for a key; those of secrets have one.
fn value(input: &mut Bytes<'_>, key: &Key) -> String {
    match (key.form, input.byte() % 8) {
        (Form::Secret, 0..7) => input.pick(&SECRETS).to_owned(),
        (_, 0..4) => key.value.to_owned(),
        (Form::Word(words), 4..6) => format!("{:?}", input.pick(words)),
        (Form::Seconds | Form::Bytes, 4..6) => {
            format!("\"{}{}\"", input.byte(), input.pick(&["", "s", " ms", "d", "KB", "g", "x"]))
        }
        (Form::Integer, 4..6) => input.byte().to_string(),
        (Form::Text, 4..6) => format!("\"{}\"", input.word("aZ09/.,-_:@*$^()[]|? \u{e4}", 12)),
        _ => input.pick(&VALUES).to_owned(),
    }
}

/// A text of lines, most of which are of settings.
fn text(input: &mut Bytes<'_>) -> String {
    let all: Vec<_> = sections().collect();
    let (mut text, mut section) = (String::new(), all[0]);
    while !input.is_empty() {
        match input.byte() % 16 {
            0..4 => {
                section = input.pick(&all);
                let worker = input.pick(&["", "", "worker.a.", "worker.\"b\"."]);
                let name = if section.name == FILTER.name {
                    input.pick(&["filters.VCL_Log", "filters.fetcherror", "filters.x"])
                } else {
                    section.name
                };
                let _ = match (name, section.is_list) {
                    ("", _) if worker.is_empty() => Ok(()),
                    ("", _) => writeln!(text, "[{}]", worker.trim_end_matches('.')),
                    (name, false) => writeln!(text, "[{worker}{name}]"),
                    (name, true) => writeln!(text, "[[{worker}{name}]]"),
                };
            }
            4..13 => {
                // Most are of the section that was begun.
                if input.byte() % 16 == 0 {
                    section = input.pick(&all);
                }
                let key = &section.keys[usize::from(input.byte()) % section.keys.len()];
                let (name, value) = (key.name, value(input, key));
                let _ = match input.byte() % 16 {
                    0 if !section.name.is_empty() => writeln!(text, "{}.{name} = {value}", section.name),
                    1 if !section.name.is_empty() => writeln!(text, "{} = {{{name} = {value}}}", section.name),
                    2 => writeln!(text, "\"{name}\"={value} # of ours"),
                    _ => writeln!(text, "{name} = {value}"),
                };
            }
            13 => {
                let (name, value) = (input.word("abc.-_ \u{e4}", 6), input.pick(&["\"x\"", "1", "'''\ny'''"]));
                let _ = writeln!(text, "[tags]\n{name:?} = {value}");
            }
            14 => {
                let line = input.pick(&[
                    "[worker.a]",
                    "[worker.\"a b\"]",
                    "worker = 1",
                    "[status]",
                    "dns = \"hunter2hunter2\"",
                    "",
                    "]",
                    "x",
                ]);
                let _ = writeln!(text, "{line}");
            }
            _ => {
                // Nothing that would put a secret where it is none.
                let line = input.word("aZ09=.[]{}# \t\u{feff}", 12);
                let _ = writeln!(text, "{line}");
            }
        }
    }
    text
}

fn quoted(text: &str) -> String {
    let escape = |c: char| if c.is_ascii_alphanumeric() { c.to_string() } else { format!("\\U{:08x}", u32::from(c)) };
    format!("\"{}\"", text.chars().map(escape).collect::<String>())
}

fn inline(value: &Value) -> String {
    match value {
        Value::Text(text) => quoted(text),
        Value::Integer(number) => number.to_string(),
        Value::Real(number) if number.is_nan() => "nan".to_owned(),
        Value::Real(number) => format!("{number:?}"),
        Value::Flag(flag) => flag.to_string(),
        Value::List(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::Table(table) => {
            let entries =
                table.entries.iter().map(|entry| format!("{} = {}", quoted(&entry.key), inline(&entry.value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Other(kind) => panic!("{kind} is no setting"),
    }
}

/// Writes a table in another way than people do: what a section holds by itself, then those below it.
fn write(table: &Table, at: &str, out: &mut String) {
    let is_tables = |value: &Value| matches!(value, Value::List(list) if !list.is_empty() && list.iter().all(|one| matches!(one, Value::Table(_))));
    for entry in &table.entries {
        if !is_tables(&entry.value) && !matches!(entry.value, Value::Table(_)) {
            let _ = writeln!(out, "{} = {}", quoted(&entry.key), inline(&entry.value));
        }
    }
    for entry in &table.entries {
        let at = if at.is_empty() { quoted(&entry.key) } else { format!("{at} . {}", quoted(&entry.key)) };
        match &entry.value {
            Value::Table(below) => {
                let _ = writeln!(out, "[ {at} ]");
                write(below, &at, out);
            }
            Value::List(list) if is_tables(&entry.value) => {
                for one in list {
                    if let Value::Table(one) = one {
                        let _ = writeln!(out, "[[ {at} ]]");
                        write(one, &at, out);
                    }
                }
            }
            _ => {}
        }
    }
}

fn names<'t>(table: &'t Table, all: &mut Vec<&'t str>) {
    for entry in &table.entries {
        all.push(&entry.key);
        let values = if let Value::List(list) = &entry.value { list.iter().collect() } else { vec![&entry.value] };
        for value in values {
            if let Value::Table(below) = value {
                names(below, all);
            }
        }
    }
}

fn load(text: &str) -> Result<Config, Vec<Problem>> {
    let around =
        Surroundings { tags: vapi::tags::installed(), credentials: None, variable: |_| None, host: "h", is_dry: false };
    load_text(Path::new(FILE), text, &around)
}

/// What is said of one that is refused.
fn assert_told(text: &str, problems: &[Problem], names: &[&str]) {
    assert!(!problems.is_empty());
    for problem in problems {
        let told = problem.to_string();
        assert!(!told.contains(['\n', '\r', '\0']), "{told:?}");
        let line = problem.place.line;
        assert!((1..=text.split('\n').count()).contains(&line), "{told:?}");
        assert!(told.starts_with(&format!("{FILE}:{line}: ")));
        assert!(
            problem.text.starts_with("not TOML: ") || names.iter().any(|name| problem.text.contains(name)),
            "{told:?}"
        );
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    // Whatever there may be in a file; of what is in that nobody knows what is a secret.
    let is_any = input.byte() == b'#';
    let text = if is_any { String::from_utf8_lossy(input.0).into_owned() } else { text(&mut input) };
    let top = parse(&Arc::from(Path::new(FILE)), &text, &mut Problems::default());
    let loaded = match load(&text) {
        Ok(loaded) => loaded,
        Err(problems) => {
            let mut all = Vec::new();
            names(&top, &mut all);
            assert!(is_any || !problems.iter().any(|problem| problem.text.contains(SECRET)), "{problems:?}");
            return assert_told(&text, &problems, &all);
        }
    };
    let mut again = String::new();
    write(&top, "", &mut again);
    assert_eq!(load(&again).as_ref(), Ok(&loaded), "{text}\n----\n{again}");
    let dsns =
        || loaded.workers.iter().map(|worker| format!("{:?} {:?}", worker.settings.client.dsn, worker.settings.server));
    assert!(is_any || !dsns().collect::<String>().contains(SECRET));
});
