// SPDX-License-Identifier: BSD-2-Clause
//! The log of a group, as an event has it: of each transaction its head, then its records, with the names of their tags, for who reads it has nothing else.

use event::capture::task_log::{FileForm, LogForm, LogLine, TaskLog, Transaction as Head};
use event::vsl::forms::Timestamp;
use event::vsl::tags::{content, level};
use transaction::group::{Group, Kind, Record, Transaction};
use transaction::tags::Tags;

/// What a line begins with: whether it is the head of a transaction, or one of its records.
const HEAD: u8 = 0;
const RECORD: u8 = 1;
/// The kinds of transactions, as varnishlog has them.
const KINDS: [&str; 5] = ["Unknown", "Session", "Request", "BeReq", "Record"];
/// The tag of libvarnishapi's own records.
const OWN: &str = "VSL";
/// What a head takes, and the head of a record without its name.
const HEAD_SIZE: usize = 1 + 4 + 1 + 8 + 8;
const RECORD_SIZE: usize = 1 + 1 + 2;
/// Bytes of a transaction that is shown in part, at least.
const MIN_PART: usize = 512;

/// The log of `group` in at most `room` bytes. If it does not fit, the transaction at `first` has it before the others, and of one that does not fit
/// the newest records are kept.
pub fn packed(group: &Group, tags: &Tags, first: usize, room: usize) -> Vec<u8> {
    let transactions: Vec<_> = group.transactions().collect();
    let room_of = shares(&transactions, tags, first, room);
    let mut out = Vec::with_capacity(room_of.iter().sum());
    let mut left_out = 0_u64;
    for (transaction, room) in transactions.iter().zip(room_of) {
        if room == 0 {
            left_out += 1;
            continue;
        }
        put_head(&mut out, transaction);
        let records: Vec<_> = transaction.records().collect();
        // From the end, as many as fit.
        let mut left = room - HEAD_SIZE.min(room);
        let fitting = records.iter().rev().take_while(|record| {
            let size = size_of_record(record, tags);
            let fits = size <= left;
            left = left.saturating_sub(size);
            fits
        });
        let skipped = records.len() - fitting.count();
        if skipped > 0 {
            put_record(&mut out, OWN, format!("{skipped} earlier records left out").as_bytes());
        }
        for record in records.iter().skip(skipped) {
            put_record(&mut out, tags.name(record.tag).unwrap_or(OWN), record.text);
        }
    }
    let notes = [(left_out, "transactions left out"), (group.left_out(), "records too many for one group")];
    for (count, what) in notes.into_iter().filter(|(count, _)| *count > 0) {
        let note = format!("{count} {what}");
        // There may be no room even for what tells of what is missing.
        if out.len() + RECORD_SIZE + OWN.len() + note.len() <= room {
            put_record(&mut out, OWN, note.as_bytes());
        }
    }
    out
}

/// What an event has to know of it.
pub fn task_log(form: LogForm, group: &Group, first: usize, log: &[u8]) -> TaskLog {
    let shown = first_head(log);
    let root = group.transactions().nth(first).map(|transaction| transaction.head).unwrap_or_default();
    let (kind, id) = shown.map_or((kind_of(root.kind), root.vxid), |head| (head.kind, head.id));
    TaskLog { form, read, file: FileForm::Varnishlog, transaction: kind, id, gap: None }
}

/// How many bytes each of the transactions gets.
fn shares(transactions: &[Transaction<'_>], tags: &Tags, first: usize, room: usize) -> Vec<usize> {
    let sizes: Vec<usize> = transactions.iter().map(|transaction| size_of(transaction, tags)).collect();
    if sizes.iter().sum::<usize>() <= room {
        return sizes;
    }
    // What tells of what is missing.
    const NOTES: usize = 256;
    let mut left = room.saturating_sub(NOTES);
    let mut shares = vec![0; sizes.len()];
    let others = (0..sizes.len()).filter(|at| *at != first);
    for at in std::iter::once(first).chain(others) {
        if let (Some(size), Some(share)) = (sizes.get(at), shares.get_mut(at)) {
            let note = if *size > left { RECORD_SIZE + 64 } else { 0 };
            *share = (*size).min(left.saturating_sub(note));
            if *share < *size && *share < MIN_PART {
                *share = 0;
            }
            left = left.saturating_sub(*share + note);
        }
    }
    shares
}

fn size_of(transaction: &Transaction<'_>, tags: &Tags) -> usize {
    HEAD_SIZE + transaction.records().map(|record| size_of_record(&record, tags)).sum::<usize>()
}

fn size_of_record(record: &Record<'_>, tags: &Tags) -> usize {
    RECORD_SIZE + tags.name(record.tag).unwrap_or(OWN).len() + record.text.len().min(usize::from(u16::MAX))
}

fn put_head(out: &mut Vec<u8>, transaction: &Transaction<'_>) {
    let head = transaction.head;
    // Lines before the first timestamp are of its time.
    let at =
        transaction.records().find_map(|record| Timestamp::parse(record.text).filter(|reached| is_near(reached.at)));
    out.push(HEAD);
    out.extend_from_slice(&head.level.to_le_bytes());
    out.push(head.kind as u8);
    out.extend_from_slice(&head.vxid.to_le_bytes());
    out.extend_from_slice(&at.map_or(f64::NAN, |reached| reached.at).to_le_bytes());
}

/// Whether it is a time of day at all: other records have colons and numbers, too.
fn is_near(at: f64) -> bool {
    at > 1e9
}

fn put_record(out: &mut Vec<u8>, tag: &str, text: &[u8]) {
    // Names of tags are short, and no record is longer than a head has room for.
    let (name, text) = (tag.as_bytes(), text.get(..usize::from(u16::MAX)).unwrap_or(text));
    out.push(RECORD);
    out.push(name.len() as u8);
    out.extend_from_slice(&(text.len() as u16).to_le_bytes());
    out.extend_from_slice(name);
    out.extend_from_slice(text);
}

fn kind_of(kind: Kind) -> &'static str {
    KINDS.get(kind as usize).copied().unwrap_or_default()
}

/// One line of a packed log.
enum Packed<'l> {
    Head(Head, f64),
    Record(&'l str, &'l [u8]),
}

/// The next line, and what follows it; `None` at the end, and where there is none of ours.
fn next(bytes: &[u8]) -> Option<(Packed<'_>, &[u8])> {
    let (kind, rest) = bytes.split_first()?;
    if *kind == HEAD {
        let (depth, rest) = rest.split_first_chunk()?;
        let (kind, rest) = rest.split_first()?;
        let (id, rest) = rest.split_first_chunk()?;
        let (at, rest) = rest.split_first_chunk()?;
        let depth = u32::from_le_bytes(*depth).max(1) as usize;
        let kind = KINDS.get(usize::from(*kind)).copied()?;
        return Some((Packed::Head(Head { depth, kind, id: u64::from_le_bytes(*id) }, f64::from_le_bytes(*at)), rest));
    }
    let ([name, low, high], rest) = rest.split_first_chunk()?;
    let (name, rest) = rest.split_at_checked(usize::from(*name))?;
    let (text, rest) = rest.split_at_checked(usize::from(u16::from_le_bytes([*low, *high])))?;
    Some((Packed::Record(std::str::from_utf8(name).ok()?, text), rest))
}

fn first_head(log: &[u8]) -> Option<Head> {
    match next(log)?.0 {
        Packed::Head(head, _) => Some(head),
        Packed::Record(..) => None,
    }
}

/// Reads what [`packed`] made.
fn read(bytes: &[u8], each: &mut dyn FnMut(LogLine<'_>)) {
    let mut rest = bytes;
    let (mut begins, mut began, mut is_first) = (None, None, true);
    while let Some((line, after)) = next(rest) {
        rest = after;
        match line {
            // The first one is that of the event.
            Packed::Head(head, at) => {
                begins = Some(head).filter(|_| !is_first);
                began = Some(at).filter(|at| at.is_finite());
                is_first = false;
            }
            Packed::Record(tag, text) => {
                let reached = if tag == "Timestamp" { Timestamp::parse(text).map(|reached| reached.at) } else { None };
                let at = reached.or(began.take());
                each(LogLine { tag, text, content: content(tag), level: level(tag), at, begins: begins.take() });
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::sample::{group_of, groups, tags};

    /// Lines as `depth kind id` of a head and `tag text`.
    fn lines(log: &[u8]) -> Vec<String> {
        let mut lines = Vec::new();
        read(log, &mut |line| {
            lines.extend(line.begins.map(|head| format!("{} {} {}", head.depth, head.kind, head.id)));
            lines.push(format!("{} {}", line.tag, String::from_utf8_lossy(line.text)));
        });
        lines
    }

    fn printed(url: &str) -> Vec<String> {
        let text = include_str!("../../testdata/groups.varnishlog");
        let group =
            text.trim_end().split("\n\n").find(|group| group.contains(&format!("URL         {url}\n"))).unwrap();
        let line = |line: &str| {
            let words: Vec<_> = line.split_whitespace().collect();
            match words[..] {
                [mark, "<<", kind, ">>", id] => format!("{} {kind} {id}", mark.len()),
                [_, tag, ..] => format!("{tag} {}", line[4 + 15..].trim_end_matches('\n')),
                _ => panic!("{line}"),
            }
        };
        // The first head is told by the file's own head.
        group.lines().map(line).skip(1).collect()
    }

    #[test]
    fn the_whole_group_comes_back() {
        let (groups, tags) = (groups(), tags());
        for url in ["/dead/x?token=abc", "/esi", "/retry", "/restart"] {
            let group = group_of(&groups, url);
            let log = packed(group, &tags, 0, 60_000);
            assert_eq!(lines(&log), printed(url), "{url}");
            let told = task_log(LogForm::Both, group, 0, &log);
            assert_eq!((told.transaction, Some(told.id)), ("Request", group.root().map(|root| root.head.vxid)));
        }
    }

    #[test]
    fn of_one_that_is_too_large_the_transaction_that_matters_is_kept_and_the_rest_is_counted() {
        let (groups, tags) = (groups(), tags());
        let esi = group_of(&groups, "/esi");
        let sizes: Vec<_> = esi.transactions().map(|one| size_of(&one, &tags)).collect();
        let all: usize = sizes.iter().sum();
        // The fifth one is the fetch that failed.
        let at = esi.transactions().position(|one| one.head.vxid == 32_776).unwrap();
        for room in [sizes[at] + 400, sizes[at] + 2500, all - 1, 1000] {
            let log = packed(esi, &tags, at, room);
            assert!(log.len() <= room, "{} of {room}", log.len());
            let lines = lines(&log);
            assert!(lines.iter().any(|line| line.starts_with("FetchError backend dead")), "{room}: {lines:?}");
            assert!(lines.iter().any(|line| line.ends_with(" left out")), "{room}: {lines:?}");
            assert_eq!(task_log(LogForm::Both, esi, at, &log).gap, None);
        }
        // What has no room for anything has none for what tells of that.
        for room in [0, 1, 29, 30, 200] {
            let lines = lines(&packed(esi, &tags, at, room));
            assert_eq!(lines.len(), usize::from(room >= 30), "{room}: {lines:?}");
            assert!(packed(esi, &tags, at, room).len() <= room);
        }
        let whole = lines(&packed(esi, &tags, at, all));
        assert!(!whole.iter().any(|line| line.ends_with(" left out")));
    }

    #[test]
    fn lines_of_another_transaction_have_its_time() {
        let (groups, tags) = (groups(), tags());
        let log = packed(group_of(&groups, "/dead/x?token=abc"), &tags, 0, 60_000);
        let mut begins = Vec::new();
        read(&log, &mut |line| {
            if line.tag == "Begin" {
                begins.push(line.at);
            }
        });
        assert_eq!(begins, [Some(1_795_972_464.459_752), Some(1_795_972_464.459_833)]);
    }

    #[test]
    fn what_is_none_of_ours_ends_it() {
        for bytes in
            [&b""[..], b"\x00", b"\x00\x01\x00\x00\x00\x09", b"\x01\x03\x05\x00Tag", b"\x01\x01\x00\x00\xff", b"\x07"]
        {
            assert_eq!(lines(bytes), [""; 0], "{bytes:?}");
        }
    }
}
