// SPDX-License-Identifier: BSD-2-Clause
//! The breadcrumbs of an event: what happened before it, in the order of time.

use std::borrow::Cow;
use std::collections::VecDeque;

use protocol::text::{line, text};
use serde::Serialize;

use crate::capture::content::Content;
use crate::capture::level::Level;
use crate::capture::scope::MAX_BREADCRUMBS;
use crate::capture::task_log::TaskLog;
use crate::filter::Filter;

const MAX_CATEGORY: usize = 128;
const MAX_MESSAGE: usize = 8192;
/// The category of what is said about the log itself.
const LOG: &str = "log";

/// The breadcrumbs of the VCL's scope and of the task's, and those that the task's log makes.
#[derive(Debug, Default, Serialize)]
pub(super) struct Breadcrumbs<'a> {
    values: Vec<Breadcrumb<'a>>,
    #[serde(skip)]
    log: VecDeque<Breadcrumb<'a>>,
    /// Lines of the log that there was no room for.
    #[serde(skip)]
    left_out: usize,
    /// That there were earlier ones.
    #[serde(skip)]
    gap: Option<String>,
}

#[derive(Debug, Serialize)]
struct Breadcrumb<'a> {
    timestamp: f64,
    #[serde(skip_serializing_if = "str::is_empty")]
    r#type: &'static str,
    level: &'static str,
    #[serde(skip_serializing_if = "str::is_empty")]
    category: Cow<'a, str>,
    message: Cow<'a, str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Data>,
}

/// What is said of a line that is not of the transaction which the event is about.
#[derive(Debug, Serialize)]
struct Data {
    xid: u64,
}

impl<'a> Breadcrumbs<'a> {
    /// Adds what a [`crate::capture::fields::Kind::Breadcrumb`] says; one without a sane time is no breadcrumb.
    pub fn add(&mut self, name: &'a [u8], message: &'a [u8]) {
        self.values.extend(breadcrumb(name, message));
    }

    /// Adds the lines of a log that ends at the time `end`, save for headers, which the event has apart.
    ///
    /// Few lines tell the time. What is between two that do came after the first of them.
    pub fn add_log(&mut self, log: &TaskLog, raw: &[u8], end: f64, filter: &Filter<'_>) {
        let mut now = None;
        (log.read)(raw, &mut |line| {
            now = now.or(line.at.filter(|at| is_sane(*at)));
        });
        let mut now = now.unwrap_or(end);
        let mut within = None;
        (log.read)(raw, &mut |line| {
            within = line.begins.map(|begun| begun.id).or(within);
            if line.content == Content::Header || filter.removes_record(line.tag) {
                return;
            }
            now = line.at.filter(|at| is_sane(*at)).unwrap_or(now);
            if self.log.len() >= MAX_BREADCRUMBS {
                self.log.pop_front();
                self.left_out += 1;
            }
            self.log.push_back(Breadcrumb {
                timestamp: micros(now),
                r#type: if line.level >= Level::Error { "error" } else { "" },
                level: line.level.as_str(),
                category: Cow::Owned(line.tag.to_owned()),
                message: Cow::Owned(filter.log_record(line.content, line.text)),
                data: within.map(|xid| Data { xid }),
            });
        });
        self.gap = log.gap_told();
    }

    pub fn is_empty(&self) -> bool {
        self.values.is_empty()
    }

    /// Sentry shows breadcrumbs as they come, oldest first; two scopes are two lists. Those of the log take
    /// what room the others leave, the newest ones; the first one says so.
    pub fn finish(mut self) -> Breadcrumbs<'a> {
        let left_out = self.left_out;
        let mut room = MAX_BREADCRUMBS.saturating_sub(self.values.len());
        if self.gap.is_some() || left_out > 0 || self.log.len() > room {
            room = room.saturating_sub(1);
            let excess = self.log.len().saturating_sub(room);
            self.log.drain(..excess);
            let message = match self.gap.take() {
                Some(gap) if left_out + excess == 0 => gap,
                Some(gap) => format!("{gap}, {} more left out", left_out + excess),
                None => format!("{} earlier records left out", left_out + excess),
            };
            if let Some(first) = self.log.front() {
                let level = Level::Warning.as_str();
                let category = Cow::Borrowed(LOG);
                let message = Cow::Owned(message);
                let note = Breadcrumb { timestamp: first.timestamp, r#type: "", level, category, message, data: None };
                self.log.push_front(note);
            }
        }
        // Sorting keeps the order of what is of one time: what VCL set came after the line of the log.
        self.log.extend(std::mem::take(&mut self.values));
        self.values = self.log.drain(..).collect();
        self.values.sort_by(|one, other| one.timestamp.total_cmp(&other.timestamp));
        self.values.drain(..self.values.len().saturating_sub(MAX_BREADCRUMBS));
        self
    }
}

fn breadcrumb<'a>(name: &'a [u8], message: &'a [u8]) -> Option<Breadcrumb<'a>> {
    let (rest, seconds) = name.split_last_chunk()?;
    let (level, category) = rest.split_at_checked(rest.iter().position(|byte| *byte == 0)?)?;
    let category = category.strip_prefix(b"\0")?.strip_suffix(b"\0")?;
    let seconds = Some(f64::from_le_bytes(*seconds)).filter(|seconds| is_sane(*seconds))?;
    Some(Breadcrumb {
        timestamp: micros(seconds),
        r#type: "",
        level: Level::from_name(level).unwrap_or(Level::Info).as_str(),
        category: line(category, MAX_CATEGORY),
        message: text(message, MAX_MESSAGE),
        data: None,
    })
}

/// Up to the year 9999, the last one that RFC 3339 has.
fn is_sane(seconds: f64) -> bool {
    (0.0..253_402_300_799.0).contains(&seconds)
}

/// Sentry keeps microseconds; more digits would only show how a float rounds.
pub(super) fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::task_log::{FileForm, LogForm, LogLine, Transaction};
    use privacy::scrub::Scrub;

    /// A log of lines, each `Tag time text`, where a time may be `-`.
    fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
        for line in std::str::from_utf8(bytes).unwrap().lines() {
            let [tag, at, text] = line.splitn(3, ' ').collect::<Vec<_>>().try_into().unwrap();
            let content = if tag == "Header" { Content::Header } else { Content::Text };
            let level = if tag == "Error" { Level::Error } else { Level::Info };
            each(LogLine { tag, text: text.as_bytes(), content, level, at: at.parse().ok(), begins: None });
        }
    }

    /// Own breadcrumbs at these times, and a log: time and message of what comes out.
    fn merged(own: &[f64], log: &str, gap: Option<&'static str>) -> Vec<(f64, String)> {
        let mut crumbs = Breadcrumbs::default();
        let names: Vec<_> = own.iter().map(|at| [b"info\0vcl\0".as_slice(), &at.to_le_bytes()].concat()).collect();
        names.iter().for_each(|name| crumbs.add(name, b"own"));
        let task_log = TaskLog {
            form: LogForm::Breadcrumbs,
            read,
            file: FileForm::Varnishlog,
            transaction: "Request",
            id: 1,
            gap,
        };
        crumbs.add_log(&task_log, log.as_bytes(), 99.0, &Filter::from(Scrub::new(false)));
        crumbs.finish().values.into_iter().map(|crumb| (crumb.timestamp, crumb.message.into_owned())).collect()
    }

    fn told(merged: &[(f64, String)]) -> Vec<(f64, &str)> {
        merged.iter().map(|(at, message)| (*at, &**message)).collect()
    }

    #[test]
    fn lines_have_the_time_of_the_last_one_that_told_it_and_stand_among_the_others() {
        let log = "Begin - a\nTimestamp 10 b\nHeader - Host: h\nVCL_Log - c\nTimestamp 20 d\nError - password=s3\nTimestamp inf e";
        let all = merged(&[20.0, 15.0], log, None);
        let expected = [
            (10.0, "a"),
            (10.0, "b"),
            (10.0, "c"),
            (15.0, "own"),
            (20.0, "d"),
            (20.0, "password=[Filtered]"),
            (20.0, "e"),
            (20.0, "own"),
        ];
        assert_eq!(told(&all), expected);
        assert_eq!(told(&merged(&[], "VCL_Log - a", None)), [(99.0, "a")]);
        assert_eq!(told(&merged(&[1.0], "", None)), [(1.0, "own")]);
    }

    #[test]
    fn a_line_of_another_transaction_says_of_which() {
        fn read_tree(_: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
            for (at, id) in [(1.0, None), (3.0, None), (2.0, Some(7)), (4.0, None)] {
                let begins = id.map(|id| Transaction { depth: 2, kind: "BeReq", id });
                let (text, content, level) = (&b"x"[..], Content::Text, Level::Info);
                each(LogLine { tag: "VCL_Log", text, content, level, at: Some(at), begins });
            }
        }
        let form = LogForm::Breadcrumbs;
        let log =
            TaskLog { form, read: read_tree, file: FileForm::Varnishlog, transaction: "Request", id: 1, gap: None };
        let mut crumbs = Breadcrumbs::default();
        crumbs.add_log(&log, b"", 9.0, &Filter::from(Scrub::new(false)));
        let told = crumbs.finish().values.into_iter().map(|crumb| (crumb.timestamp, crumb.data.map(|data| data.xid)));
        assert_eq!(told.collect::<Vec<_>>(), [(1.0, None), (2.0, Some(7)), (3.0, None), (4.0, Some(7))]);
    }

    #[test]
    fn the_log_takes_the_room_that_is_left_and_says_what_is_missing() {
        let log = |lines| (0..lines).map(|number| format!("VCL_Log - {number}\n")).collect::<String>();
        for (lines, own, gap, note, kept) in [
            (150, 0, None, "51 earlier records left out", 99),
            (150, 30, None, "81 earlier records left out", 69),
            (150, 30, Some("retry"), "earlier records are missing (retry), 81 more left out", 69),
            // Left out for the others alone, or for the note alone.
            (80, 30, Some("retry"), "earlier records are missing (retry), 11 more left out", 69),
            (101, 0, None, "2 earlier records left out", 99),
        ] {
            let all = merged(&vec![200.0; own], &log(lines), gap);
            assert_eq!(all.len(), MAX_BREADCRUMBS);
            assert_eq!(told(&all)[0], (99.0, note));
            assert_eq!(all.get(kept).map(|(_, message)| message.clone()), Some((lines - 1).to_string()));
            assert_eq!(all.iter().filter(|(_, message)| message == "own").count(), own);
        }
        assert!(merged(&[200.0; 100], &log(150), None).iter().all(|(_, message)| message == "own"));
        let all = merged(&[], "Begin 5 a", Some("overflow"));
        assert_eq!(told(&all), [(5.0, "earlier records are missing (overflow)"), (5.0, "a")]);
    }
}
