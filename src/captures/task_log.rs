// SPDX-License-Identifier: BSD-2-Clause
//! The log of a task, as an event has it.

use event::capture::task_log::{FileForm, LogForm, LogLine, TaskLog};
use event::vsl::tags::{content, level};
use shim::log::{ALL, Log, tag_name};
use shim::{Facts, Side};

use super::ending::gap;
use crate::watch::time;

/// Bytes of the log that a record takes, the newest ones: as many as the server's buffer has by default.
const MAX_LOG: usize = 16 * 1024;

/// What an event takes of its task's log.
pub fn raw(log: Log<'_>) -> &[u8] {
    log.newest(MAX_LOG)
}

/// What there is to know about it.
pub fn task_log(form: LogForm, facts: &Facts<'_>, log: Log<'_>) -> TaskLog {
    let is_cut = raw(log).len() < log.newest(usize::MAX).len();
    TaskLog {
        form,
        read,
        file: FileForm::Varnishlog,
        transaction: if facts.side == Side::Backend { "BeReq" } else { "Request" },
        id: facts.xid,
        gap: gap(log).or(is_cut.then_some("size")),
    }
}

/// Reads what [`raw`] took, on the sender's thread.
fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
    let words: Vec<u32> = bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)).collect();
    for record in Log::of(&words).records(0, ALL) {
        if let Some(tag) = tag_name(record.tag) {
            let (text, content, level) = (record.text, content(tag), level(tag));
            each(LogLine { tag, text, content, level, at: time(record.tag, text), begins: None });
        }
    }
}
