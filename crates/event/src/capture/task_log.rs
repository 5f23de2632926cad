// SPDX-License-Identifier: BSD-2-Clause
//! The log of the task that an event comes from: as breadcrumbs, as a file, or both.
//!
//! A record has it as whoever captured found it, for copying is all there is time for on the request's
//! thread; along with it comes the function that can read it.

use crate::capture::content::Content;
use crate::capture::level::Level;

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

    pub(crate) fn has_attachment(self) -> bool {
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
    /// The transaction that begins with it, of a log of several: but for the first one, which [`TaskLog`] names.
    pub begins: Option<Transaction>,
}

/// A transaction within another one's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Transaction {
    /// How deep it is in the tree, whose root has 1.
    pub depth: usize,
    /// What kind it is of, as varnishlog has it, and its number.
    pub kind: &'static str,
    pub id: u64,
}

/// Reads the bytes of a field [`Kind::Log`], line by line.
pub type ReadLog = fn(&[u8], &mut dyn FnMut(LogLine<'_>));

/// What the file is that a log makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum FileForm {
    /// As varnishlog prints transactions.
    #[default]
    Varnishlog,
    /// Its lines as they are: what a child of varnishd said when it panicked.
    Panic,
}

/// What a record's log is, and how to read it.
#[derive(Clone, Copy, Debug)]
pub struct TaskLog {
    pub form: LogForm,
    pub read: ReadLog,
    pub file: FileForm,
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form_has_its_word() {
        let words = ["none", "breadcrumbs", "attachment", "both"];
        let forms = [LogForm::None, LogForm::Breadcrumbs, LogForm::Attachment, LogForm::Both];
        assert_eq!(words.map(|word| LogForm::from_name(word.as_bytes())), forms.map(Some));
        assert_eq!(LogForm::from_name(b"Both"), None);
    }
}
