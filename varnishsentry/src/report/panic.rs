// SPDX-License-Identifier: BSD-2-Clause
//! What a child of varnishd said when it panicked.
//!
//! The text begins with what went wrong, `Assert error in … line …:` and `Condition(…) not true.`; then comes where: version, backtrace, thread; then the task it was
//! about, with the headers of its request. So it is never shown as it is: a line in quotes is one of a header, or of the message's first line.

use event::capture::content::Content;
use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::capture::task_log::{FileForm, LogForm, LogLine, TaskLog};

/// What the part after what went wrong begins with.
const VERSION: &str = "version = ";
/// What is kept of what went wrong, and of a text.
const MAX_WHAT: usize = 1000;
const MAX_TEXT: usize = 48 * 1024;

/// A panic.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Panic {
    text: String,
}

impl Panic {
    /// The text as `panic.show` has it, or as the child has written it: there quotes and backslashes are not escaped.
    pub fn new(text: &str) -> Panic {
        let mut text = text.replace("\\\"", "\"").replace("\\\\", "\\");
        let end = (0..=MAX_TEXT.min(text.len())).rev().find(|end| text.is_char_boundary(*end)).unwrap_or_default();
        text.truncate(end);
        Panic { text }
    }

    /// What went wrong, in one line.
    pub fn what(&self) -> String {
        let lines = self.text.lines().map(str::trim).filter(|line| !line.is_empty() && !is_time(line));
        let what = lines.take_while(|line| !line.starts_with(VERSION)).collect::<Vec<_>>().join(" ");
        let end = (0..=MAX_WHAT.min(what.len())).rev().find(|end| what.is_char_boundary(*end)).unwrap_or_default();
        match what.get(..end).unwrap_or_default() {
            "" => "no text".to_owned(),
            what => what.to_owned(),
        }
    }

    /// The same for all panics of one cause: without addresses, pids and times.
    pub fn fingerprint(&self) -> String {
        let what = self.what();
        let words = what.split(' ').map(|word| if differs(word) { "*" } else { word });
        words.collect::<Vec<_>>().join(" ")
    }

    pub fn write(&self, fields: &mut Fields, pid: u64, seconds: u64) {
        fields.put(Kind::Exception, b"Panic", self.what().as_bytes());
        // As `i64`, which no pid exceeds.
        fields.put(Kind::ContextInt, b"varnish\0child_pid", &(pid as i64).to_le_bytes());
        fields.put(Kind::ContextInt, b"varnish\0child_seconds", &(seconds as i64).to_le_bytes());
        fields.put(Kind::Context, b"panic\0where", self.place().as_bytes());
        fields.put(Kind::Log, b"", self.text.as_bytes());
    }

    /// What the text is to be read with, if events have files.
    pub fn task_log(form: LogForm) -> Option<TaskLog> {
        let form = if form == LogForm::None { LogForm::None } else { LogForm::Attachment };
        Some(TaskLog { form, read, file: FileForm::Panic, transaction: "", id: 0, gap: None })
    }

    /// Version, backtrace and thread: nothing of it is of a client.
    fn place(&self) -> String {
        let mut lines: Vec<&str> = Vec::new();
        let mut is_backtrace = false;
        for line in self.text.lines() {
            let is_figure = [VERSION, "ident = ", "pthread.name = "].iter().any(|begin| line.starts_with(begin));
            is_backtrace = line == "Backtrace:" || is_backtrace && line.starts_with("  0x");
            if is_figure || is_backtrace {
                lines.push(line);
            }
        }
        lines.join("\n")
    }
}

/// When it was, which `panic.show` and the manager say first.
fn is_time(line: &str) -> bool {
    ["Panic at: ", "Last panic at: "].iter().any(|begin| line.starts_with(begin))
}

/// Whether it is an address, a long number, a time: 1606398419.4, 0x7f2c, (pid=123456).
fn differs(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    word.contains("0x") || digits >= 5
}

/// Reads the text, line by line.
fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
    for line in bytes.split(|byte| *byte == b'\n') {
        let (text, content) = shown(line);
        each(LogLine { tag: "Panic", text, content, level: Level::Info, at: None, begins: None });
    }
}

/// What of a line may be looked at, and what it holds.
fn shown(line: &[u8]) -> (&[u8], Content) {
    let trimmed = line.trim_ascii();
    // Of a session: `client = 192.0.2.1 4711 a0,`.
    if let Some(address) = trimmed.strip_prefix(b"client = ") {
        return (address, Content::ClientAddress);
    }
    // Of a message: its first line in three, then its headers.
    let Some(quoted) = trimmed.strip_prefix(b"\"") else { return (line, Content::Text) };
    let quoted = quoted.strip_suffix(b",").unwrap_or(quoted);
    let quoted = quoted.strip_suffix(b"\"").unwrap_or(quoted);
    let is_absolute =
        quoted.split(|byte| *byte == b' ').next().is_some_and(|word| word.windows(3).any(|at| at == b"://"));
    match quoted {
        [b'/', ..] => (quoted, Content::Url),
        _ if is_absolute => (quoted, Content::Url),
        _ if quoted.contains(&b':') => (quoted, Content::Header),
        _ => (quoted, Content::Text),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SHOWN: &str = "Panic at: Sun, 29 Nov 2026 17:14:29 GMT\n\
        Assert error in ccf_panic(), cache/cache_panic.c line 834:\n  Condition((strcmp(\\\"\\\", \\\"You asked for it\\\")) == 0) not true.\n\
        version = varnish-7.1.1 revision 7cee, vrt api = 15.0\nident = Linux,6.18,x86_64,-junix\nnow = 1858.058248 (mono), 1795972469.768643 (real)\n\
        Backtrace:\n  0x55d39751008c: varnishd(+0x5908c) [0x55d39751008c]\n  0x55d39758b275: varnishd(VAS_Fail+0x45) [0x55d39758b275]\n\
        argv = {\n  [0] = \\\"varnishd\\\",\n}\npthread.name = (cache-worker)\n";

    #[test]
    fn what_went_wrong_is_one_line_and_where_has_nothing_of_a_client() {
        let panic = Panic::new(SHOWN);
        let what = "Assert error in ccf_panic(), cache/cache_panic.c line 834: Condition((strcmp(\"\", \"You asked for it\")) == 0) not true.";
        assert_eq!(panic.what(), what);
        assert_eq!(
            panic.place(),
            "version = varnish-7.1.1 revision 7cee, vrt api = 15.0\nident = Linux,6.18,x86_64,-junix\nBacktrace:\n  \
             0x55d39751008c: varnishd(+0x5908c) [0x55d39751008c]\n  0x55d39758b275: varnishd(VAS_Fail+0x45) [0x55d39758b275]\npthread.name = (cache-worker)"
        );
        assert_eq!(Panic::new("").what(), "no text");
        assert!(Panic::new(&"\u{fc}".repeat(60_000)).what().len() <= MAX_WHAT);
    }

    #[test]
    fn panics_of_one_cause_have_one_fingerprint() {
        let of = |text: &str| Panic::new(text).fingerprint();
        let signal = |address, pid, time| {
            of(&format!(
                "Panic at: {time}\nSignal 11 (Segmentation fault) received at {address} si_code 1 (pid={pid})\nversion = x\nnow = {time}\n"
            ))
        };
        assert_eq!(signal("0x7f2c", 123_456, "Sun"), signal("0x0", 99_999, "Mon"));
        assert_eq!(signal("0x7f2c", 123_456, "Sun"), "Signal 11 (Segmentation fault) received at * si_code 1 *");
        assert_ne!(of(SHOWN), signal("0x0", 1, "Sun"));
        assert_eq!(of(SHOWN), Panic::new(SHOWN).what(), "what is the same each time stays");
    }

    #[test]
    fn what_is_of_a_message_is_known_for_it() {
        for (line, text, content) in [
            ("      \"GET\",", "GET", Content::Text),
            ("      \"/a?token=s3\",", "/a?token=s3", Content::Url),
            ("      \"http://h/a?b\",", "http://h/a?b", Content::Url),
            ("      \"Cookie: sid=s3; a=b\",", "Cookie: sid=s3; a=b", Content::Header),
            ("    client = 192.0.2.1 4711 a0,", "192.0.2.1 4711 a0,", Content::ClientAddress),
            ("  vxid = 5, transport = HTTP/1 {", "  vxid = 5, transport = HTTP/1 {", Content::Text),
            ("      \"Authorization: Basic czM", "Authorization: Basic czM", Content::Header),
        ] {
            assert_eq!(shown(line.as_bytes()), (text.as_bytes(), content), "{line}");
        }
    }
}
