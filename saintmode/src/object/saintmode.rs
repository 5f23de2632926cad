// SPDX-License-Identifier: BSD-2-Clause
//! A saintmode object: what stands for one backend and keeps a denylist for it.
//!
//! Made and ended on the CLI thread; everything else may come from any number of workers at once.

use std::ffi::CStr;
use std::sync::atomic::AtomicBool;
use std::sync::{Arc, OnceLock};

use denylist::{Breaker, Denylist, Health, Kept, Recent, Standing, Time, Verdict};
use parking_lot::Mutex;
use shim::counters::Counters;
use shim::director::{Admin, Handle, VclBackend, backend_name, leads_on};
use shim::{Ctx, Tag};

use super::group::Group;
use super::keep;
use super::policy::Policy;
use super::siblings::Siblings;
use super::way::Way;
use crate::counters::{SaintmodeCounter, of_object};

/// The saintmode objects of a VCL.
pub type Objects = Siblings<Saintmode>;

/// What `new x = saintmode.saintmode(…)` makes.
pub struct Saintmode {
    name: Box<str>,
    pub backend: VclBackend,
    /// Whether it is a director, which may lead to other objects.
    leads_on: bool,
    pub way: Way,
    backend_name: Box<str>,
    /// What other objects may have a part in: the list, the names and the failure rate below.
    pub(super) kept: Arc<Kept>,
    /// The threshold that VCL wants, until its load is complete.
    pub(super) wanted: Mutex<Option<u64>>,
    pub denylist: Arc<Denylist>,
    pub policy: Policy,
    pub breaker: Arc<Breaker>,
    pub group: Option<Arc<Group<Saintmode>>>,
    /// Whether its group has looked where its backend leads to, and has met no other member so far.
    pub stands_apart: AtomicBool,
    /// Whether the director it stands for was healthy when its group last looked.
    pub was_healthy: AtomicBool,
    /// Whether it was sick as a whole when last seen.
    pub health: Health,
    pub recent: Arc<Recent>,
    pub counters: Option<Counters>,
    /// Its director, once that is registered.
    pub handle: OnceLock<Handle>,
    pub siblings: Arc<Objects>,
}

// SAFETY: the backend's pointer is used only for calls that the server allows on any thread, and the
// director's handle in C holds a reference to it for as long as this value lives.
unsafe impl Send for Saintmode {}
// SAFETY: as for Send.
unsafe impl Sync for Saintmode {}

impl Saintmode {
    /// Makes the object, among its siblings to be, without a director.
    ///
    /// # Safety
    /// `backend` is not NULL and was passed in by VCL at this call; it is not asked before the object has a director, which keeps it.
    pub unsafe fn new(
        ctx: Ctx<'_>,
        siblings: &Arc<Objects>,
        name: &CStr,
        backend: VclBackend,
        threshold: u64,
        max_entries: usize,
        policy: Policy,
    ) -> Saintmode {
        let text = name.to_str().unwrap_or_default();
        // SAFETY: the caller vouches for the backend.
        let backend_name = unsafe { backend_name(backend) };
        // SAFETY: as above.
        let leads_on = unsafe { leads_on(backend) };
        // SAFETY: as above.
        let kept = unsafe { keep::kept(&policy.keep, backend_name, backend, threshold, max_entries) };
        if kept.max_entries() != max_entries {
            let known = kept.max_entries();
            let text = format!(
                "saintmode: max_entries {max_entries} of {text} has no effect, the denylist kept for backend {backend_name} has {known}"
            );
            ctx.log(Tag::Log, &text);
        }
        Saintmode {
            name: text.into(),
            backend,
            leads_on,
            way: Way::default(),
            backend_name: backend_name.into(),
            wanted: Mutex::new(Some(threshold)),
            denylist: Arc::clone(kept.denylist()),
            breaker: kept.breaker(policy.limits),
            group: group_of(siblings, &policy.group),
            stands_apart: AtomicBool::new(!leads_on),
            was_healthy: AtomicBool::new(true),
            policy,
            health: Health::new(false),
            recent: Arc::clone(kept.recent()),
            kept,
            counters: of_object(ctx.facts().vcl, text),
            handle: OnceLock::new(),
            siblings: Arc::clone(siblings),
        }
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn backend_name(&self) -> &str {
        &self.backend_name
    }

    /// Whether it stands for `backend` itself.
    pub fn stands_for(&self, backend: VclBackend) -> bool {
        self.backend == backend
    }

    pub fn leads_on(&self) -> bool {
        self.leads_on
    }

    /// The director as VCL uses it.
    pub fn face(&self) -> VclBackend {
        // SAFETY: self lives, and with it its director.
        self.handle.get().map_or(std::ptr::null(), |handle| unsafe { handle.face() })
    }

    pub fn admin(&self) -> Admin {
        // SAFETY: self lives, and with it its director.
        self.handle.get().map_or(Admin::Auto, |handle| unsafe { handle.admin() })
    }

    pub fn threshold(&self) -> u64 {
        self.denylist.threshold()
    }

    /// Whether it is sick as a whole. Takes no lock.
    pub fn is_sick(&self, now: Time) -> bool {
        self.denylist.verdict(None, now) == Verdict::ThresholdReached
            || (self.threshold() > 0 && self.breaker.standing(None, now) == Standing::Refused)
    }

    /// How many objects are denied now. Whoever asks moves the gauge.
    pub fn live(&self, now: Time) -> u64 {
        let live = self.denylist.live(now);
        if let Some(counters) = &self.counters {
            counters.set(SaintmodeCounter::Live as usize, live);
        }
        live
    }

    /// When the threshold was last reached or left, in seconds since the epoch. Says it to the server, too, which
    /// nobody tells when an entry expires.
    pub fn changed(&self, now: Time) -> f64 {
        let Some(changed) = self.denylist.changed(now) else { return 0.0 };
        let changed = changed.seconds();
        if let Some(handle) = self.handle.get() {
            // SAFETY: self lives, and with it its director.
            unsafe { handle.set_changed(changed) }
        }
        changed
    }

    pub fn count(&self, counter: SaintmodeCounter) {
        if let Some(counters) = &self.counters {
            counters.add(counter as usize, 1);
        }
    }
}

/// The group of this name, a new one if no object is in it yet; none without a name.
fn group_of(objects: &Objects, name: &str) -> Option<Arc<Group<Saintmode>>> {
    let known = objects.with(|all| {
        let mut groups = all.filter_map(|one| one.group.as_ref());
        groups.find(|group| group.name() == name).map(Arc::clone)
    });
    known.or_else(|| (!name.is_empty()).then(|| Arc::new(Group::new(name))))
}
