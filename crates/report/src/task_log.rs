// SPDX-License-Identifier: BSD-2-Clause
//! The log of the task that an event comes from: as breadcrumbs, as a file in the form of varnishlog, or both.
//!
//! A record has it as whoever captured found it, for copying is all there is time for on the request's
//! thread; along with it comes the function that can read it.

use std::fmt::Write;

use crate::level::Level;
use crate::log_text::Content;
use crate::record::{Kind, Record};
use crate::scrub::Scrub;

/// What the file is called in Sentry.
pub const FILE_NAME: &str = "varnishlog.txt";
/// Bytes of it: a hostile text may grow in being made readable.
const MAX_FILE: usize = 128 * 1024;

/// What events carry of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum LogForm {
    None,
    #[default]
    Breadcrumbs,
    Attachment,
    Both,
}

impl LogForm {
    /// The form named `word`; `None` for anything else.
    pub fn from_name(word: &[u8]) -> Option<LogForm> {
        match word {
            b"none" => Some(LogForm::None),
            b"breadcrumbs" => Some(LogForm::Breadcrumbs),
            b"attachment" => Some(LogForm::Attachment),
            b"both" => Some(LogForm::Both),
            _ => None,
        }
    }

    pub(crate) fn has_breadcrumbs(self) -> bool {
        matches!(self, LogForm::Breadcrumbs | LogForm::Both)
    }

    fn has_attachment(self) -> bool {
        matches!(self, LogForm::Attachment | LogForm::Both)
    }
}

/// One line of the log.
#[derive(Clone, Copy, Debug)]
pub struct LogLine<'l> {
    pub tag: &'l str,
    pub text: &'l [u8],
    pub content: Content,
    pub level: Level,
    /// When what it tells of happened, in seconds since the epoch, if it says so.
    pub at: Option<f64>,
}

/// Reads the bytes of a field [`Kind::Log`], line by line.
pub type ReadLog = fn(&[u8], &mut dyn FnMut(LogLine<'_>));

/// What a record's log is, and how to read it.
#[derive(Clone, Copy, Debug)]
pub struct TaskLog {
    pub form: LogForm,
    pub read: ReadLog,
    /// What kind of transaction it is of, as varnishlog has it, and its number.
    pub transaction: &'static str,
    pub id: u64,
    /// Why the begin is missing, if it is.
    pub gap: Option<&'static str>,
}

impl TaskLog {
    /// That the begin is missing, in words.
    pub(crate) fn gap_told(&self) -> Option<String> {
        self.gap.map(|gap| format!("earlier records are missing ({gap})"))
    }
}

/// Replaces what is in `out` with the file for `record`; with nothing if there is none to be sent.
pub(crate) fn write_file(record: &Record, scrub: Scrub<'_>, out: &mut String) {
    out.clear();
    let Some(log) = record.log.filter(|log| log.form.has_attachment()) else { return };
    let Some(raw) = record.fields().find(|field| field.kind == Kind::Log) else { return };
    let mut line = |tag: &str, text: &str| {
        if out.len() < MAX_FILE {
            // Writing to a string does not fail.
            let _ = writeln!(out, "-   {tag:<14} {text}");
        }
    };
    if let Some(gap) = log.gap_told() {
        // As varnishlog tells that it lost something.
        line("VSL", &gap);
    }
    (log.read)(raw.value, &mut |each| line(each.tag, &each.content.show(each.text, scrub)));
    if !out.is_empty() {
        out.insert_str(0, &format!("*   << {:<8} >> {:<10}\n", log.transaction, log.id));
        out.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::event_id::EventId;
    use crate::record::Fields;

    /// A log of lines, each `Tag text`.
    fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let at = line.iter().position(|byte| *byte == b' ').unwrap();
            let tag = std::str::from_utf8(&line[..at]).unwrap();
            let content = if tag.ends_with("Header") { Content::Header } else { Content::Text };
            each(LogLine { tag, text: &line[at + 1..], content, level: Level::Info, at: None });
        }
    }

    fn record(form: LogForm, gap: Option<&'static str>, log: &[u8]) -> Record {
        let (id, at) = (EventId::from_random([7; 16]), SystemTime::UNIX_EPOCH);
        let mut fields = Fields::default();
        fields.begin_scopes();
        fields.put(Kind::Log, b"", log);
        let mut record = Record::new(id, at, Level::Error, Arc::default(), fields);
        record.log = Some(TaskLog { form, read, transaction: "Request", id: 32770, gap });
        record
    }

    fn file(record: &Record) -> Option<String> {
        let mut out = "what was there".to_owned();
        write_file(record, Scrub::new(false), &mut out);
        Some(out).filter(|out| !out.is_empty())
    }

    #[test]
    fn the_file_is_as_varnishlog_prints_it_and_without_secrets() {
        let log = b"Begin req 32769 rxreq\nReqHeader Cookie: a=s3\nBackend_health_long x\n";
        let expected = "*   << Request  >> 32770     \n\
                        -   Begin          req 32769 rxreq\n\
                        -   ReqHeader      Cookie: a=[Filtered]\n\
                        -   Backend_health_long x\n\n";
        for form in [LogForm::Attachment, LogForm::Both] {
            assert_eq!(file(&record(form, None, log)).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_missing_begin_is_told_as_varnishlog_would() {
        let told = file(&record(LogForm::Both, Some("restart"), b"Begin req 7 restart\n"));
        let lines: Vec<_> = told.iter().flat_map(|told| told.lines()).skip(1).collect();
        assert_eq!(
            lines,
            ["-   VSL            earlier records are missing (restart)", "-   Begin          req 7 restart", ""]
        );
    }

    #[test]
    fn without_lines_or_where_it_is_not_asked_for_there_is_no_file() {
        for (form, log) in [(LogForm::None, b"A b"), (LogForm::Breadcrumbs, b"A b"), (LogForm::Both, b"\n\n\n")] {
            assert_eq!(file(&record(form, None, log)), None, "{form:?}");
        }
        let mut bare = record(LogForm::Both, None, b"A b");
        bare.log = None;
        assert_eq!(file(&bare), None);
    }

    #[test]
    fn a_file_has_an_end_whatever_is_in_the_log() {
        // Each byte becomes three.
        let log = [b"A ".as_slice(), &[0xff; 500], b"\n"].concat().repeat(100);
        let told = file(&record(LogForm::Both, None, &log)).unwrap();
        assert!((MAX_FILE..MAX_FILE + 2048).contains(&told.len()), "{}", told.len());
    }

    #[test]
    fn every_form_has_its_word() {
        let words = ["none", "breadcrumbs", "attachment", "both"];
        let forms = [LogForm::None, LogForm::Breadcrumbs, LogForm::Attachment, LogForm::Both];
        assert_eq!(words.map(|word| LogForm::from_name(word.as_bytes())), forms.map(Some));
        assert_eq!(LogForm::from_name(b"Both"), None);
    }
}
