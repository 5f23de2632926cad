// SPDX-License-Identifier: BSD-2-Clause
//! The log of the task that an event comes from, as a file in the form of varnishlog.

use std::fmt::Write;

use crate::capture::fields::Kind;
use crate::capture::record::Record;
use crate::capture::task_log::TaskLog;
use crate::filter::Filter;

/// What the file's item says next to its length: what it is called in Sentry.
pub(crate) const HEADERS: &str = ",\"filename\":\"varnishlog.txt\",\"attachment_type\":\"event.attachment\"";
/// Bytes of it: a hostile text may grow in being made readable.
const MAX_FILE: usize = 128 * 1024;

/// The log that the file is made of; `None` if there is none to be sent.
pub(crate) fn log_of(record: &Record) -> Option<(TaskLog, &[u8])> {
    let log = record.log.filter(|log| log.form.has_attachment())?;
    let raw = record.fields().find(|field| field.kind == Kind::Log)?;
    Some((log, raw.value))
}

/// Replaces what is in `out` with the file for `record`; with nothing if there is none to be sent. The filter is that of the record.
pub fn write_file(record: &Record, filter: &Filter<'_>, out: &mut String) {
    out.clear();
    let Some((log, raw)) = log_of(record) else { return };
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
    (log.read)(raw, &mut |each| {
        if !filter.removes_record(each.tag) {
            line(each.tag, &filter.log_record(each.content, each.text));
        }
    });
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
    use crate::capture::content::Content;
    use crate::capture::fields::Fields;
    use crate::capture::level::Level;
    use crate::capture::task_log::{LogForm, LogLine};
    use privacy::scrub::Scrub;
    use protocol::event_id::EventId;

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
        write_file(record, &Filter::of(record, Scrub::new(false)), &mut out);
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
}
