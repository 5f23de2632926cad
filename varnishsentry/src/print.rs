// SPDX-License-Identifier: BSD-2-Clause
use std::io::Write;
use std::time::SystemTime;
use transaction::consumer::Consumer;
use transaction::counters::Counters;
use transaction::group::{Group, Record};
use transaction::source::SourceEvent;
use transaction::tags::{ALL, Wanted};

pub struct Print {
    none: bool,
    wanted: Wanted,
    seen: u64,
}
impl Print {
    pub fn new() -> Print {
        let none = std::env::var_os("NONE").is_some();
        let mut wanted = *ALL;
        if none {
            wanted = [0; 256];
            for name in [
                "RespStatus",
                "BerespStatus",
                "FetchError",
                "VCL_Error",
                "Error",
                "VCL_Log",
                "LostHeader",
                "Timestamp",
                "ReqURL",
                "End",
            ] {
                wanted[vapi::tags::installed().named(name).unwrap().0 as usize] = 1;
            }
        }
        Print { none, wanted, seen: 0 }
    }
}
impl Consumer for Print {
    fn wanted(&self) -> &Wanted {
        &self.wanted
    }
    fn wants(&mut self, glimpse: &Group) -> bool {
        if !self.none {
            return true;
        }
        for t in glimpse.transactions() {
            for r in t.records() {
                self.seen += r.text.len() as u64;
            }
        }
        false
    }
    fn group(&mut self, group: &Group) {
        let tags = vapi::tags::installed();
        let mut out = std::io::stdout().lock();
        for t in group.transactions() {
            writeln!(out, "{:?}", t.head).unwrap();
            for r in t.records() {
                writeln!(
                    out,
                    "- {:15} {:?} {}",
                    tags.name(r.tag).unwrap_or("?"),
                    r.side,
                    String::from_utf8_lossy(r.text)
                )
                .unwrap();
            }
        }
        writeln!(out).unwrap();
    }
    fn record(&mut self, record: Record<'_>, _at: SystemTime) {
        if self.none {
            return;
        }
        println!(
            "record {} {}",
            vapi::tags::installed().name(record.tag).unwrap_or("?"),
            String::from_utf8_lossy(record.text)
        );
    }
    fn happened(&mut self, event: &SourceEvent, _at: SystemTime) {
        println!("{event:?}");
    }
    fn tick(&mut self, counters: &Counters, _at: SystemTime) {
        if std::env::var_os("TICK").is_some() {
            println!("tick {:?}", counters.iter().collect::<Vec<_>>());
        }
    }
    fn counters(&self) -> Vec<String> {
        vec!["MAIN.sess_conn".into(), "MAIN.thread*".into()]
    }
}
