// SPDX-License-Identifier: BSD-2-Clause
//! Settings and rules, as texts in VCL: what is refused is told in one line, and what is taken means what it says.
#![no_main]

use std::sync::Arc;

use delivery::connection::way::{Way, WayArguments};
use denylist::Failures;
use event::capture::fields::{Field, Kind};
use event::capture::level::Level;
use event::identity::Identity;
use event::lifecycle::settings::Lifecycle;
use event::rules::before_send::Edit;
use event::rules::ignore::{Candidate, Expressions, Rule, RuleError, Rules};
use event::rules::watch::{self, Found, Watch};
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use privacy::settings::{Privacy, PrivacyArguments};
use settings::client::name;
use settings::copies::Copies;
use settings::path::path;
use settings::traces::TraceSettings;
use settings::waiting::spool;

const TAG: (u8, &str) = (7, "VCL_Log");

/// What `outcome` is, if it is no error; an error is one line that says something.
fn told<T, E: std::fmt::Display>(outcome: Result<T, E>) -> Option<T> {
    outcome
        .inspect_err(|error| {
            let error = error.to_string();
            assert!(!error.trim().is_empty() && !error.contains(['\n', '\0']), "{error:?}");
        })
        .ok()
}

/// Reads `text` as the kind of setting that `kind` says. Whatever is said of one, the password of a proxy is not.
fn setting(kind: u8, text: &str, other: &str) {
    let lists = PrivacyArguments::default();
    let way = WayArguments::default();
    match kind % 15 {
        0 => drop(told(Lifecycle::parse(text))),
        1 => drop(told(Failures::parse(text))),
        2 => drop(told(Identity::default().with_environment(text))),
        3 => drop(told(Identity::default().with_release(text))),
        4 => drop(told(Identity::default().with_dist(text))),
        5 => drop(told(Copies::new(text))),
        6 => drop(told(name(text))),
        7 => drop(told(TraceSettings::new(text, true))),
        8 => drop(told(path("dsn_file", text))),
        9 => drop(told(spool(text, 1 << 20, 60.0))),
        10 => drop(told(Privacy::new(&PrivacyArguments { allow_headers: text, deny_headers: other, ..lists }))),
        11 => drop(told(Privacy::new(&PrivacyArguments { allow_keys: text, deny_keys: other, ..lists }))),
        12 => drop(told(Way::new(&WayArguments { ca_file: text, client_cert: other, client_key: text, ..way }))),
        13 => drop(told(Way::new(&WayArguments { unix_socket: text, ..way }))),
        _ => {
            let proxy = format!("http://hunter2:{text}hunter3@{other}");
            let way = Way::new(&WayArguments { proxy: &proxy, ..way });
            let shown = format!("{way:?} {}", way.as_ref().err().map(ToString::to_string).unwrap_or_default());
            assert!(!shown.contains("hunter"), "{shown}");
        }
    }
}

/// A rule that does not match takes nothing away, and none takes the message.
fn edit([when, remove, name]: [&str; 3], candidate: &Candidate<'_>, is_match: bool) {
    let when = Expressions { message: when, ..Expressions::default() };
    let Some(edit) = told(Edit::new(&when, Some(Level::Info), remove)) else { return };
    let rules = Rules::default();
    rules.add(&Arc::new(edit)).unwrap();
    let edits = rules.edits(candidate);
    assert_eq!(edits.level.is_some(), is_match);
    let tag = Field { kind: Kind::Tag, name: name.as_bytes(), value: b"v" };
    let message = Field { kind: Kind::Message, ..tag };
    assert!(is_match || edits.removals.leave(tag) == Some(tag));
    assert_eq!(edits.removals.leave(message), Some(message));
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (is_setting, kind) = (input.byte() % 4 == 0, input.byte());
    let text = String::from_utf8_lossy(input.0);
    // Two expressions, and a text that they are to match.
    let mut parts = text.splitn(3, '\n');
    let [first, second, text] = [parts.next(), parts.next(), parts.next()].map(Option::unwrap_or_default);
    if is_setting {
        return setting(kind, first, second);
    }

    let rules = [first, second].map(|message| {
        let when = Expressions { message, ..Expressions::default() };
        assert!(!message.is_empty() || Rule::new(&when).is_err_and(|error| error == RuleError::Empty));
        told(Rule::of_any(&when))
    });
    let candidate = Candidate { message: text.as_bytes(), ..Candidate::default() };
    let matches = rules.each_ref().map(|rule| rule.as_ref().is_some_and(|rule| rule.matches(&candidate)));

    if kind % 2 == 1 {
        return edit([first, second, text], &candidate, matches[0]);
    }
    // Alone or together with another one, for an event or a record of the log, an expression matches the same.
    let mut watch = Watch::default();
    let mut added = [false; 2];
    for (place, expression) in [first, second].into_iter().enumerate() {
        let rule = told(watch::Rule::new(TAG, expression, &place.to_string(), Level::Error));
        assert_eq!(rule.is_some(), rules[place].is_some());
        added[place] = rule.is_some_and(|rule| told(watch.add(&Arc::new(rule))).is_some());
    }
    let mut found = Found::default();
    watch.see(TAG.0, text.as_bytes(), &mut found);
    watch.see(TAG.0 + 1, text.as_bytes(), &mut found);
    let seen = found.matches().iter().map(|found| found.rule.name.as_str()).collect::<Vec<_>>();
    let expected = ["0", "1"].into_iter().zip(matches).zip(added);
    let expected: Vec<_> =
        expected.filter(|((_, matches), added)| *matches && *added).map(|((name, _), _)| name).collect();
    assert_eq!(seen, expected);

    let all = Rules::default();
    for rule in rules.into_iter().flatten() {
        all.add(&Arc::new(rule)).unwrap();
    }
    assert_eq!(all.ignore(&candidate), matches.contains(&true));
});
