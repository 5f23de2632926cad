// SPDX-License-Identifier: BSD-2-Clause
//! What a tunnel judges by, with the DSNs that may be named: those of the VCL, and those of a file, which the sender's thread looks at every ten seconds. While it cannot be
//! read, what it said last holds.

use std::sync::Arc;
use std::time::Instant;

use delivery::counters::{Counter, Ledger};
use delivery::directory::Directory;
use parking_lot::Mutex;
use protocol::dsn::Dsn;
use settings::tunnel::TunnelSettings;
use shim::Tag;
use shim::ctx::log;
use tunnel::Tunnel as Judging;

use super::dsn_file::{DsnFile, Look};
use crate::counters::TunnelCounters;
use crate::process::SHARED;

/// One tunnel's.
pub struct Listing {
    name: String,
    judging: Judging,
    file: Mutex<Option<DsnFile>>,
    ledger: Arc<Ledger>,
    counters: Option<Arc<TunnelCounters>>,
}

impl Listing {
    /// Made with what the VCL and the file say now. Rules are compiled here: on a stack as large as that of a VCL that loads.
    pub fn new(
        settings: &TunnelSettings,
        ledger: Arc<Ledger>,
        counters: Option<Arc<TunnelCounters>>,
        now: Instant,
    ) -> Listing {
        let random = || fastrand::u64(..);
        let judging = Judging::new(settings.section.judging.clone(), random, &|dsn| SHARED.destination(dsn, now), now);
        for rule in settings.ignored.rules() {
            // There are no more than fit.
            let _ = judging.ignore(rule);
        }
        if settings.ignored.builtin {
            judging.ignore_builtin();
        }
        let file = Mutex::new(settings.section.dsn_file.clone().map(DsnFile::new));
        let listing = Listing { name: settings.name.clone(), judging, file, ledger, counters };
        listing.look_at_file(now);
        listing.count_dsns();
        listing
    }

    pub fn judging(&self) -> &Judging {
        &self.judging
    }

    pub fn ledger(&self) -> &Arc<Ledger> {
        &self.ledger
    }

    pub fn counters(&self) -> Option<&TunnelCounters> {
        self.counters.as_deref()
    }

    /// Reads the file if it has changed, and says what is wrong with it; whether there are other DSNs now.
    fn look_at_file(&self, now: Instant) -> bool {
        let mut file = self.file.lock();
        let Some(file) = &mut *file else { return false };
        match file.look() {
            Look::Same => false,
            Look::Problem(problem) => {
                let number = self.judging.dsns().len();
                self.complain(&format!("{problem}, going on with the {number} DSNs there are"));
                false
            }
            Look::Text(text) => {
                let bad = self.judging.set_file(&text, &|dsn| SHARED.destination(dsn, now));
                for line in &bad {
                    self.complain(&format!("dsn_file {}: {line}, skipped", file.path().display()));
                }
                self.count_dsns();
                true
            }
        }
    }

    fn complain(&self, problem: &str) {
        self.ledger.add(Counter::DsnFailures, 1);
        log(Tag::Error, &format!("sentry {}: {problem}", self.name));
    }

    fn count_dsns(&self) {
        if let Some(counters) = &self.counters {
            counters.set_dsns(self.judging.dsns().len());
        }
    }
}

/// What the sender asks.
pub struct Listed {
    listing: Arc<Listing>,
    /// It has had its first list.
    was_asked: bool,
}

impl Listed {
    pub fn new(listing: Arc<Listing>) -> Listed {
        Listed { listing, was_asked: false }
    }
}

impl Directory for Listed {
    fn look(&mut self, now: Instant) -> Option<Vec<Arc<Dsn>>> {
        let has_changed = self.listing.look_at_file(now);
        let is_first = !std::mem::replace(&mut self.was_asked, true);
        (has_changed || is_first).then(|| self.listing.judging.dsns())
    }

    fn may_change(&self) -> bool {
        self.listing.file.lock().is_some()
    }
}
