// SPDX-License-Identifier: BSD-2-Clause
//! The log of the task that an event comes from, as a file in the form of varnishlog.

use std::fmt::{self, Write};

use crate::capture::fields::Kind;
use crate::capture::record::Record;
use crate::capture::task_log::{FileForm, TaskLog, Transaction};
use crate::filter::Filter;

/// What the file's item says next to its length: what it is called in Sentry.
pub(crate) fn headers(record: &Record) -> &'static str {
    match record.log.map(|log| log.file).unwrap_or_default() {
        FileForm::Varnishlog => ",\"filename\":\"varnishlog.txt\",\"attachment_type\":\"event.attachment\"",
        FileForm::Panic => ",\"filename\":\"panic.txt\",\"attachment_type\":\"event.attachment\"",
    }
}
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
    if log.file == FileForm::Panic {
        (log.read)(raw, &mut |each| {
            if !filter.removes_record(each.tag) {
                write(out, format_args!("{}", filter.log_record(each.content, each.text)));
            }
        });
        return;
    }
    let mut depth = 1;
    if let Some(gap) = log.gap_told() {
        // As varnishlog tells that it lost something.
        write(out, format_args!("{} {:<14} {gap}", mark('-', depth), "VSL"));
    }
    (log.read)(raw, &mut |each| {
        if let Some(begun) = each.begins {
            depth = begun.depth;
            write(out, format_args!("{}", head(begun)));
        }
        if !filter.removes_record(each.tag) {
            let text = filter.log_record(each.content, each.text);
            write(out, format_args!("{} {:<14} {text}", mark('-', depth), each.tag));
        }
    });
    if !out.is_empty() {
        out.insert_str(0, &format!("{}\n", head(Transaction { depth: 1, kind: log.transaction, id: log.id })));
        out.push('\n');
    }
}

/// Adds a line, unless there are enough.
fn write(out: &mut String, line: fmt::Arguments<'_>) {
    if out.len() < MAX_FILE {
        // Writing to a string does not fail.
        let _ = writeln!(out, "{line}");
    }
}

/// What stands above a transaction's lines.
fn head(Transaction { depth, kind, id }: Transaction) -> String {
    format!("{} << {kind:<8} >> {id:<10}", mark('*', depth))
}

/// What a line begins with: as many of them as the transaction is deep in the tree, which varnishlog counts from 3 on.
fn mark(with: char, depth: usize) -> String {
    if depth > 3 { format!("{with}{depth}{with}") } else { format!("{:<3}", with.to_string().repeat(depth)) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::SystemTime;

    use super::*;
    use crate::capture::content::Content;
    use crate::capture::fields::Fields;
    use crate::capture::level::Level;
    use crate::capture::task_log::{FileForm, LogForm, LogLine};
    use privacy::scrub::Scrub;
    use protocol::event_id::EventId;

    /// A log of lines, each `Tag text`.
    fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
        for line in bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
            let at = line.iter().position(|byte| *byte == b' ').unwrap();
            let tag = std::str::from_utf8(&line[..at]).unwrap();
            let content = if tag.ends_with("Header") { Content::Header } else { Content::Text };
            each(LogLine { tag, text: &line[at + 1..], content, level: Level::Info, at: None, begins: None });
        }
    }

    fn record(form: LogForm, gap: Option<&'static str>, log: &[u8]) -> Record {
        let (id, at) = (EventId::from_random([7; 16]), SystemTime::UNIX_EPOCH);
        let mut fields = Fields::default();
        fields.begin_scopes();
        fields.put(Kind::Log, b"", log);
        let mut record = Record::new(id, at, Level::Error, Arc::default(), fields);
        record.log = Some(TaskLog { form, read, file: FileForm::Varnishlog, transaction: "Request", id: 32770, gap });
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

    /// A log of lines that each begin a transaction of the depth that their text tells.
    fn read_tree(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
        for (number, text) in bytes.split(|byte| *byte == b'\n').enumerate() {
            let depth = std::str::from_utf8(text).unwrap().parse().unwrap();
            let begun = Transaction { depth, kind: "BeReq", id: number as u64 };
            let begins = (number > 0).then_some(begun);
            each(LogLine { tag: "Begin", text, content: Content::Figures, level: Level::Info, at: None, begins });
        }
    }

    #[test]
    fn transactions_of_a_tree_stand_below_each_other_as_varnishlog_prints_them() {
        let mut tree = record(LogForm::Attachment, None, b"1\n2\n4\n12");
        tree.log = tree.log.map(|log| TaskLog { read: read_tree, ..log });
        let expected = "*   << Request  >> 32770     \n-   Begin          1\n\
                        **  << BeReq    >> 1         \n--  Begin          2\n\
                        *4* << BeReq    >> 2         \n-4- Begin          4\n\
                        *12* << BeReq    >> 3         \n-12- Begin          12\n\n";
        assert_eq!(file(&tree).as_deref(), Some(expected));
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
