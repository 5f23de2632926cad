// SPDX-License-Identifier: BSD-2-Clause
//! Events that are of no transaction: a backend that went sick, counters, parts of the log that are lost, a child that died.

use event::capture::fields::{Fields, Kind};
use event::capture::level::Level;
use event::vsl::tags::content;
use transaction::source::Lost;

use super::panic::Panic;
use crate::filter::alarms::Alarm;
use crate::filter::health::Turn;

/// What a child's death is called, by the module too: there the next child tells it.
const DIED: &str = "varnishd child {1} died, it had run for at most {2} s";

/// What happened.
#[derive(Debug)]
pub enum News<'n> {
    Backend {
        turn: Turn<'n>,
        text: &'n [u8],
    },
    Counter(Alarm),
    Lost(Lost),
    Started {
        pid: u64,
    },
    /// For how many seconds it had run, as far as that is known.
    Died {
        pid: u64,
        seconds: u64,
        panic: Option<Panic>,
    },
}

impl News<'_> {
    /// What it is called among the filters.
    pub fn filter(&self) -> &'static str {
        match self {
            News::Backend { turn, .. } if turn.is_sick => "backend_sick",
            News::Backend { .. } => "backend_healthy",
            News::Counter(_) => "threads",
            News::Lost(_) => "log_lost",
            News::Started { .. } => "child_start",
            News::Died { panic: Some(_), .. } => "child_panic",
            News::Died { .. } => "child_death",
        }
    }

    /// What it is about, for rules that look at messages.
    pub fn message(&self) -> Vec<u8> {
        match self {
            News::Backend { text, .. } => [b"[Backend_health] ", *text].concat(),
            News::Counter(alarm) => format!("{} is over its threshold", alarm.counter).into(),
            News::Lost(_) => b"parts of the log could not be read".to_vec(),
            News::Started { .. } => b"varnishd child {1} started".to_vec(),
            News::Died { panic: Some(panic), .. } => format!("Panic: {}", panic.what()).into(),
            News::Died { .. } => DIED.into(),
        }
    }

    /// What groups such events: nothing in it differs from one time to the next. Empty where the message does, which the module's own has as well.
    pub fn fingerprint(&self) -> Vec<Vec<u8>> {
        let of = |parts: &[&[u8]]| parts.iter().map(|part| part.to_vec()).collect();
        match self {
            News::Backend { turn, .. } => of(&[self.filter().as_bytes(), b"Backend_health", turn.backend]),
            News::Counter(alarm) => of(&[b"threads", alarm.counter.as_bytes()]),
            News::Lost(_) => of(&[b"log_lost"]),
            News::Died { panic: Some(panic), .. } => of(&[b"child_panic", panic.fingerprint().as_bytes()]),
            News::Started { .. } | News::Died { .. } => Vec::new(),
        }
    }

    pub fn write(&self, fields: &mut Fields, level: Level) {
        match self {
            News::Backend { turn, text } => {
                let name = [
                    &[content("Backend_health") as u8],
                    level.as_str().as_bytes(),
                    b"\0Backend_health\0",
                    self.filter().as_bytes(),
                ];
                fields.put(Kind::Match, &name.concat(), text);
                fields.put(Kind::Tag, b"backend", turn.backend);
                fields.put(Kind::Context, b"varnish\0backend", turn.backend);
            }
            News::Counter(alarm) => {
                let (value, threshold) = (format!("{:.0}", alarm.value), alarm.threshold.to_string());
                let template = if alarm.is_length {
                    b"{1} is {2}, which is over its threshold of {3}".as_slice()
                } else {
                    b"{1} grows by {2} a second, which is over its threshold of {3}"
                };
                message(fields, template, &[alarm.counter, &value, &threshold]);
                fields.put(Kind::Tag, b"counter", alarm.counter.as_bytes());
            }
            News::Lost(lost) => {
                message(fields, b"parts of the log could not be read: {1}", &[&told(lost)]);
                fields.put(Kind::Context, b"varnish\0log_lost", told(lost).as_bytes());
            }
            News::Started { pid } => message(fields, b"varnishd child {1} started", &[&pid.to_string()]),
            News::Died { pid, seconds, panic } => match panic {
                Some(panic) => panic.write(fields, *pid, *seconds),
                None => message(fields, DIED.as_bytes(), &[&pid.to_string(), &seconds.to_string()]),
            },
        }
        for part in self.fingerprint() {
            fields.put(Kind::Fingerprint, b"", &part);
        }
        fields.put(Kind::Tag, b"filter", self.filter().as_bytes());
        fields.put(Kind::Logger, b"", b"varnishsentry");
    }
}

fn message(fields: &mut Fields, template: &[u8], params: &[&str]) {
    fields.put(Kind::Message, b"", template);
    for (number, param) in (b'1'..).zip(params) {
        fields.put(Kind::Param, &[number], param.as_bytes());
    }
}

/// What was lost, in words.
pub fn told(lost: &Lost) -> String {
    let parts = [
        (lost.overruns, "overruns"),
        (lost.overwritten, "groups overwritten while they were read"),
        (lost.store_overflows, "transactions over max_transactions"),
        (lost.out_of_memory, "transactions over the memory there is"),
        (lost.timeouts, "transactions over transaction_timeout"),
        (lost.gaps, "gaps while nobody read"),
    ];
    let told = parts.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
    told.collect::<Vec<_>>().join(", ")
}
