// SPDX-License-Identifier: BSD-2-Clause
//! saintmode.report(): a page of what the saintmode objects of a VCL know, as JSON.
//!
//! All objects come before the first entry: whoever reads one page has seen every backend, unless there are dozens.
//! A page says where the next one begins, by the number of an object and a position in its list, which
//! changes of the list do not move.

use std::fmt::Write;

use denylist::{Entry, Position, Time};
use shim::Ctx;
use shim::director::Admin;

use super::json::Quoted;
use crate::backend::{How, ask};
use crate::clock::time;
use crate::counters::SaintmodeCounter;
use crate::object::Saintmode;

/// The longest page, in bytes.
const PAGE: usize = 16 * 1024;
/// What is kept free of it for what ends a page.
const END: usize = 128;
/// Entries that are fetched at a time.
const SLICE: usize = 32;

/// Where a page begins.
#[derive(Clone, Copy)]
enum Cursor {
    /// With this object's description.
    Object(usize),
    /// With this object's entries behind a position.
    Entries(usize, Option<Position>),
}

impl Cursor {
    /// Whatever is none, is the beginning: cursors come from outside.
    fn parse(text: &str) -> Cursor {
        let place = |text: &str| match text.split_once('.') {
            Some((number, position)) => Some(Cursor::Entries(number.parse().ok()?, Some(position.parse().ok()?))),
            None => Some(Cursor::Entries(text.parse().ok()?, None)),
        };
        let object = |text: &str| Some(Cursor::Object(text.parse().ok()?));
        text.strip_prefix('o')
            .and_then(object)
            .or_else(|| text.strip_prefix('e').and_then(place))
            .unwrap_or(Cursor::Object(0))
    }

    fn text(self) -> String {
        match self {
            Cursor::Object(number) => format!("o{number}"),
            Cursor::Entries(number, None) => format!("e{number}"),
            Cursor::Entries(number, Some(position)) => format!("e{number}.{position}"),
        }
    }
}

/// A page that is being written.
struct Page {
    text: String,
    /// Where the next page begins, once this one is full.
    next: Option<Cursor>,
    /// How many entries may still come.
    room: usize,
    first: bool,
}

impl Page {
    /// Appends an element of a list; if it has no place any more, the next page begins with it. The first one
    /// always has, or no page would ever show it.
    fn push(&mut self, element: &str, at: Cursor) -> bool {
        if !self.first && self.text.len() + element.len() + END > PAGE {
            self.next = Some(at);
            return false;
        }
        if !self.text.ends_with('[') {
            self.text.push(',');
        }
        self.first = false;
        self.text.push_str(element);
        true
    }
}

/// One page of at most `limit` entries, from `cursor` on.
pub fn report(ctx: Ctx<'_>, objects: &[&Saintmode], cursor: &str, limit: usize) -> String {
    let now = time(ctx);
    let begin = Cursor::parse(cursor);
    let mut text = String::with_capacity(PAGE);
    // Writing to a String cannot fail.
    let _ = write!(text, "{{\"vcl\":{},\"now\":{:.3},\"objects\":[", Quoted(ctx.facts().vcl), now.seconds());
    let mut page = Page { text, next: None, room: limit, first: true };
    let mut entries_from = (0, None);
    match begin {
        Cursor::Object(from) => {
            for (number, one) in objects.iter().enumerate().skip(from) {
                if !page.push(&description(ctx, one, number, now), Cursor::Object(number)) {
                    break;
                }
            }
        }
        Cursor::Entries(number, position) => entries_from = (number, position),
    }
    page.text.push_str("],\"entries\":[");
    let (from, mut position) = entries_from;
    for (number, one) in objects.iter().enumerate().skip(from) {
        if page.next.is_some() {
            break;
        }
        entries(&mut page, one, number, position.take(), now);
    }
    page.text.push_str("],\"next\":");
    match page.next {
        Some(next) => {
            let _ = writeln!(page.text, "\"{}\"}}", next.text());
        }
        None => page.text.push_str("null}\n"),
    }
    page.text
}

fn description(ctx: Ctx<'_>, one: &Saintmode, number: usize, now: Time) -> String {
    one.look(ctx, now);
    let sick = one.is_sick(now);
    let state = match (sick, ask(How::AsAWhole, || one.backend_healthy(ctx).0)) {
        (true, _) => "sick",
        (false, true) => "healthy",
        (false, false) => "backend_sick",
    };
    let admin = match one.admin() {
        Admin::Auto => "auto",
        Admin::Healthy => "healthy",
        Admin::Sick => "sick",
    };
    let count = |counter: SaintmodeCounter| {
        let counter = one.counters.as_ref().and_then(|counters| counters.get(counter as usize));
        counter.map_or(0, |counter| counter.load(std::sync::atomic::Ordering::Relaxed))
    };
    let changes: Vec<String> =
        one.health.history().iter().map(|change| format!("{:.3}", change.at.seconds())).collect();
    format!(
        "{{\"name\":{},\"backend\":{},\"state\":\"{state}\",\"admin\":\"{admin}\",\"sick\":{sick},\"live\":{},\"threshold\":{},\"denied\":{},\
         \"refused_object\":{},\"refused_threshold\":{},\"refused_rate\":{},\"refused_trial\":{},\"spared\":{},\"trials\":{},\"no_attempt\":{},\"unjudged\":{},\"evicted\":{},\
         \"trips\":{},\"heals\":{},\"changes\":[{}],\"cursor\":\"{}\"}}",
        Quoted(one.name()),
        Quoted(one.backend_name()),
        one.live(now),
        one.threshold(),
        count(SaintmodeCounter::Denied),
        count(SaintmodeCounter::RefusedObject),
        count(SaintmodeCounter::RefusedThreshold),
        count(SaintmodeCounter::RefusedRate),
        count(SaintmodeCounter::RefusedTrial),
        count(SaintmodeCounter::Spared),
        count(SaintmodeCounter::Trials),
        count(SaintmodeCounter::NoAttempt),
        count(SaintmodeCounter::Unjudged),
        count(SaintmodeCounter::Evicted),
        count(SaintmodeCounter::Trips),
        count(SaintmodeCounter::Heals),
        changes.join(","),
        Cursor::Entries(number, None).text(),
    )
}

/// Appends entries of one object until the page or its list ends.
fn entries(page: &mut Page, one: &Saintmode, number: usize, from: Option<Position>, now: Time) {
    let mut position = from;
    loop {
        // One more than there is room for tells whether there is a next page.
        let slice = one.denylist.entries(position, SLICE.min(page.room + 1), now);
        for entry in &slice {
            let at = Cursor::Entries(number, position);
            if page.room == 0 {
                page.next = Some(at);
                return;
            }
            if !page.push(&element(one, entry, now), at) {
                return;
            }
            page.room -= 1;
            position = Some(entry.position);
        }
        if slice.len() < SLICE.min(page.room + 1) {
            return;
        }
    }
}

fn element(one: &Saintmode, entry: &Entry, now: Time) -> String {
    let mut text = format!("{{\"object\":{},\"key\":\"", Quoted(one.name()));
    for byte in entry.digest.iter().take(8) {
        let _ = write!(text, "{byte:02x}");
    }
    text.push('"');
    if let Some(name) = one.recent.name(&entry.digest) {
        let _ = write!(text, ",\"name\":{}", Quoted(&name));
    }
    match entry.until {
        Time::NEVER => text.push_str(",\"ttl\":null"),
        until => {
            let _ = write!(text, ",\"ttl\":{:.3}", until.seconds_after(now));
        }
    }
    let _ = write!(text, ",\"reason\":\"{}\",\"hits\":{}}}", entry.reason, entry.hits);
    text
}
