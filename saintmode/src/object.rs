// SPDX-License-Identifier: BSD-2-Clause
//! A saintmode object: a director that stands for one backend and keeps a denylist for it.
//!
//! Made and ended on the CLI thread; everything else may come from any number of workers at once.

use std::ffi::CStr;
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::sync::{Arc, OnceLock};
use std::time::{SystemTime, UNIX_EPOCH};

use denylist::{Breaker, Denied, Denylist, Digest, Health, Kept, Reason, Recent, Terms, Time, Verdict};
use parking_lot::{Mutex, RwLock};
use shim::counters::Counters;
use shim::director::{Admin, Director, Handle, Listing, VclBackend, backend_name, leads_on};
use shim::{Ctx, Side, Tag};

use crate::admission::Asking;
use crate::asked::{Asked, How, ask};
use crate::attempt;
use crate::counters::{SaintmodeCounter, of_object};
use crate::group::Group;
use crate::keep;
use crate::policy::Policy;
use crate::scope::Scope;
use crate::way::{self, Way};

/// The saintmode objects of a VCL, in the order of their making. Written on the CLI thread, in vcl_init
/// and vcl_fini; read by workers.
#[derive(Default)]
pub struct Objects {
    all: RwLock<Vec<NonNull<Saintmode>>>,
    /// Whether VCL told anything of any task so far: as long as it did not, no verdict need look.
    scoped: AtomicBool,
}

// SAFETY: a pointer is in the list from its object's making to its retirement: it points to a living one.
unsafe impl Send for Objects {}
// SAFETY: as for Send.
unsafe impl Sync for Objects {}

impl Objects {
    /// Lends the objects to `body`.
    pub fn with<R>(&self, body: impl FnOnce(&mut dyn Iterator<Item = &Saintmode>) -> R) -> R {
        let objects = self.all.read();
        // SAFETY: in the list, so alive; the read lock keeps it there.
        body(&mut objects.iter().map(|object| unsafe { object.as_ref() }))
    }

    /// The group of this name, a new one if no object is in it yet; none without a name.
    fn group(&self, name: &str) -> Option<Arc<Group>> {
        let known = self.with(|all| {
            let mut groups = all.filter_map(|one| one.group.as_ref());
            groups.find(|group| group.name() == name).map(Arc::clone)
        });
        known.or_else(|| (!name.is_empty()).then(|| Arc::new(Group::new(name))))
    }

    /// The VCL is loaded: from now on the thresholds that it asks for count. Not before, as a load may fail. And all directors have
    /// their members now.
    pub fn begin(&self, ctx: Ctx<'_>) {
        self.with(|all| {
            let all: Vec<&Saintmode> = all.collect();
            way::explore_all(ctx, &all);
            for (at, one) in all.iter().enumerate() {
                let wanted = one.wanted.lock().take();
                // Of those that share a list the last one's counts, and no other for a moment: that could make it sick.
                let is_last = !all.iter().skip(at + 1).any(|later| Arc::ptr_eq(&later.kept, &one.kept));
                if let Some(threshold) = wanted.filter(|threshold| is_last && one.kept.asks_anew(*threshold)) {
                    one.set_threshold(ctx, threshold, time(ctx));
                }
            }
        });
    }

    /// What VCL told of this task.
    pub fn scope(&self, ctx: Ctx<'_>) -> Option<Scope> {
        if self.are_scoped() { Scope::of(ctx) } else { None }
    }

    /// Whether VCL may have told anything of any task.
    #[inline]
    pub fn are_scoped(&self) -> bool {
        self.scoped.load(Relaxed)
    }

    /// From now on, verdicts look at what VCL told of the task.
    pub fn look_at_scopes(&self) {
        self.scoped.store(true, Relaxed);
    }
}

/// What `new x = saintmode.saintmode(…)` makes.
pub struct Saintmode {
    name: Box<str>,
    pub(crate) backend: VclBackend,
    /// Whether it is a director, which may lead to other objects.
    leads_on: bool,
    pub(crate) way: Way,
    backend_name: Box<str>,
    /// What other objects may have a part in: the list, the names and the failure rate below.
    kept: Arc<Kept>,
    /// The threshold that VCL wants, until its load is complete.
    wanted: Mutex<Option<u64>>,
    pub(crate) denylist: Arc<Denylist>,
    pub(crate) policy: Policy,
    pub(crate) breaker: Arc<Breaker>,
    pub(crate) group: Option<Arc<Group>>,
    /// Whether its group has looked where its backend leads to, and has met no other member so far.
    pub(crate) stands_apart: AtomicBool,
    /// Whether the director it stands for was healthy when its group last looked.
    pub(crate) was_healthy: AtomicBool,
    /// Whether it was sick as a whole when last seen.
    pub(crate) health: Health,
    pub(crate) recent: Arc<Recent>,
    pub(crate) counters: Option<Counters>,
    handle: OnceLock<Handle>,
    pub(crate) siblings: Arc<Objects>,
}

// SAFETY: the backend's pointer is used only for calls that the server allows on any thread, and the
// director's handle in C holds a reference to it for as long as this value lives.
unsafe impl Send for Saintmode {}
// SAFETY: as for Send.
unsafe impl Sync for Saintmode {}

impl Saintmode {
    /// Makes the object and registers its director; `None` if the VCL takes no directors any more.
    ///
    /// # Safety
    /// `backend` is not NULL and was passed in by VCL at this call.
    pub unsafe fn register(
        ctx: Ctx<'_>,
        objects: &Arc<Objects>,
        name: &CStr,
        backend: VclBackend,
        threshold: u64,
        max_entries: usize,
        policy: Policy,
    ) -> Option<NonNull<Saintmode>> {
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
        let made = Box::new(Saintmode {
            name: text.into(),
            backend,
            leads_on,
            way: Way::default(),
            backend_name: backend_name.into(),
            wanted: Mutex::new(Some(threshold)),
            denylist: Arc::clone(kept.denylist()),
            breaker: kept.breaker(policy.limits),
            group: objects.group(&policy.group),
            stands_apart: AtomicBool::new(!leads_on),
            was_healthy: AtomicBool::new(true),
            policy,
            health: Health::new(false),
            recent: Arc::clone(kept.recent()),
            kept,
            counters: of_object(ctx.facts().vcl, text),
            handle: OnceLock::new(),
            siblings: Arc::clone(objects),
        });
        made.find(time(ctx));
        let made = NonNull::from(Box::leak(made));
        // SAFETY: the caller vouches for the backend; `made` came from a Box.
        let handle = unsafe { Handle::new(ctx, name, backend, made) };
        match handle {
            Some(handle) => {
                // SAFETY: just made, and alive until retire().
                let _ = unsafe { made.as_ref() }.handle.set(handle);
                objects.all.write().push(made);
                // SAFETY: as above.
                if let Some(group) = &unsafe { made.as_ref() }.group {
                    group.join(made);
                }
                Some(made)
            }
            None => {
                // SAFETY: made above, and nobody took it.
                drop(unsafe { Box::from_raw(made.as_ptr()) });
                None
            }
        }
    }

    /// Takes over what others have put on its list: being sick already is no trip.
    fn find(&self, now: Time) {
        self.live(now);
        if self.is_sick(now) {
            let _ = self.health.see(true, self.since(true, now), now);
        }
    }

    /// Takes the object's director out of its VCL; `object` may be gone afterwards.
    ///
    /// # Safety
    /// `object` came from [`Saintmode::register`]; called once, on the CLI thread.
    pub unsafe fn retire(object: NonNull<Saintmode>) {
        // SAFETY: alive until the retire() below.
        let this = unsafe { object.as_ref() };
        this.siblings.all.write().retain(|sibling| *sibling != object);
        if let Some(group) = &this.group {
            group.leave(object);
        }
        if let Some(handle) = this.handle.get().copied() {
            // SAFETY: the caller vouches for the one call.
            unsafe { handle.retire() }
        }
    }

    /// The director as VCL uses it.
    pub fn face(&self) -> VclBackend {
        // SAFETY: self lives, and with it its director.
        self.handle.get().map_or(std::ptr::null(), |handle| unsafe { handle.face() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    pub fn backend_name(&self) -> &str {
        &self.backend_name
    }

    pub fn threshold(&self) -> u64 {
        self.denylist.threshold()
    }

    /// Sets another threshold, and says so in the task's log if it is another. In vcl_init the VCL only asks for it.
    pub fn set_threshold(&self, ctx: Ctx<'_>, threshold: u64, now: Time) {
        if let Some(wanted) = &mut *self.wanted.lock() {
            *wanted = threshold;
            return;
        }
        let before = self.threshold();
        if before != threshold {
            self.denylist.set_threshold(threshold, now);
            let backend = &self.backend_name;
            ctx.log(Tag::Log, &format!("saintmode: threshold {threshold} for backend {backend}, before {before}"));
            self.settle(ctx, now);
        }
    }

    /// How many objects are denied now. Whoever asks moves the gauge.
    pub fn live(&self, now: Time) -> u64 {
        let live = self.denylist.live(now);
        if let Some(counters) = &self.counters {
            counters.set(SaintmodeCounter::Live as usize, live);
        }
        live
    }

    /// Whether it stands for `backend` itself.
    pub fn stands_for(&self, backend: VclBackend) -> bool {
        self.backend == backend
    }

    /// Whether an entry speaks against `digest`, the backend's health aside.
    pub fn denied(&self, digest: &Digest, now: Time) -> bool {
        self.denylist.verdict(Some(digest), now) == Verdict::ObjectDenied
    }

    /// Ends the entry of `digest`, and says so in the task's log if there was one.
    pub fn allow(&self, ctx: Ctx<'_>, kind: Kind, digest: &Digest, now: Time) {
        if self.denylist.allow(digest, now) {
            let text = format!("saintmode: {} taken off denylist for backend {}", kind.name(), self.backend_name);
            ctx.log(Tag::Log, &text);
        }
        self.settle(ctx, now);
    }

    /// Ends all entries, and says so in the task's log.
    pub fn clear(&self, ctx: Ctx<'_>, now: Time) {
        let live = self.denylist.clear(now);
        ctx.log(Tag::Log, &format!("saintmode: denylist cleared for backend {}, entries: {live}", self.backend_name));
        self.settle(ctx, now);
    }

    /// Denies the object or key `seconds` long for VCL, and says so in the task's log.
    pub fn deny(&self, ctx: Ctx<'_>, kind: Kind, digest: &Digest, now: Time, seconds: f64, reason: Reason) {
        self.look_behind_group(ctx, now);
        self.enter(ctx, kind, digest, now, seconds, reason);
    }

    /// The same, also at a task's end.
    pub(crate) fn enter(&self, ctx: Ctx<'_>, kind: Kind, digest: &Digest, now: Time, seconds: f64, reason: Reason) {
        let text = kind.name();
        let backend = &self.backend_name;
        let terms = match kind {
            Kind::Object => self.policy.terms,
            // Which keys a fetch is about, nobody knows who could see how it ends.
            Kind::Key => Terms { half_open: false, ..self.policy.terms },
        };
        let seconds = match terms.matter() {
            true => self.denylist.offenders().offend(digest, seconds, now, &terms, fastrand::f64()),
            false => seconds,
        };
        match self.denylist.deny(digest, now.plus(seconds), now) {
            Denied::New { evicted } => {
                self.count(SaintmodeCounter::Denied);
                if evicted {
                    self.count(SaintmodeCounter::Evicted);
                }
                self.remember(ctx, kind, digest, reason);
            }
            Denied::Extended => {
                self.count(SaintmodeCounter::Denied);
                self.remember(ctx, kind, digest, reason);
            }
            // Denied for longer already: said, as the C module says it, but nothing was made.
            Denied::Kept => {}
            Denied::Refused | Denied::Over => {
                self.count(SaintmodeCounter::Evicted);
                let text = format!("saintmode: denylist full, {text} not put on denylist for backend {backend}");
                return ctx.log(Tag::Log, &text);
            }
        }
        let text = format!("saintmode: {text} put on denylist for backend {backend} for {seconds:.2} seconds");
        ctx.log(Tag::Log, &text);
        self.settle(ctx, now);
    }

    /// is_healthy(): what the director would say to a fetch of this object.
    pub fn is_healthy(&self, ctx: Ctx<'_>) -> bool {
        let now = time(ctx);
        self.look_behind_group(ctx, now);
        if self.is_calm(now) && !self.leads_on {
            return self.admin() != Admin::Sick && self.backend_healthy(ctx).0;
        }
        self.would_serve_object(ctx)
    }

    // Out of line, for the sake of the few reads that are mostly enough.
    #[inline(never)]
    fn would_serve_object(&self, ctx: Ctx<'_>) -> bool {
        let object = ctx.object();
        let asking = if object.side == Side::Cli { Asking::Nobody } else { Asking::Question };
        // Objects further in are to answer for the same.
        let how = if object.digest.is_some() { How::AboutObject } else { How::Plainly };
        ask(how, || self.would_serve(ctx, object.digest, object.fetching, asking))
    }

    #[inline]
    pub(crate) fn look_behind_group(&self, ctx: Ctx<'_>, now: Time) {
        if let Some(group) = &self.group {
            // In vcl_init, members may still come.
            if ctx.place().side != Side::Cli {
                group.look_behind(ctx, now);
            }
        }
    }

    pub(crate) fn leads_on(&self) -> bool {
        self.leads_on
    }

    /// Whether a fetch of `digest` would be sent to the backend, by what the operator set, the entries, and the
    /// backend itself.
    fn would_serve(&self, ctx: Ctx<'_>, digest: Option<&Digest>, fetching: bool, asking: Asking) -> bool {
        let may = match self.admin() {
            Admin::Sick => false,
            Admin::Healthy => true,
            Admin::Auto => self.lets_through(ctx, digest, fetching, asking),
        };
        may && self.backend_healthy(ctx).0
    }

    pub(crate) fn admin(&self) -> Admin {
        // SAFETY: self lives, and with it its director.
        self.handle.get().map_or(Admin::Auto, |handle| unsafe { handle.admin() })
    }

    /// When the threshold was last reached or left, in seconds since the epoch. Says it to the server, too, which
    /// nobody tells when an entry expires.
    pub(crate) fn changed(&self, now: Time) -> f64 {
        let Some(changed) = self.denylist.changed(now) else { return 0.0 };
        let changed = changed.seconds();
        if let Some(handle) = self.handle.get() {
            // SAFETY: self lives, and with it its director.
            unsafe { handle.set_changed(changed) }
        }
        changed
    }

    #[inline]
    pub(crate) fn backend_healthy(&self, ctx: Ctx<'_>) -> (bool, f64) {
        if self.leads_on {
            return self.director_healthy(ctx);
        }
        // SAFETY: not NULL (register), and referenced by the director for as long as self lives.
        unsafe { ctx.backend_healthy(self.backend) }
    }

    pub(crate) fn count(&self, counter: SaintmodeCounter) {
        if let Some(counters) = &self.counters {
            counters.add(counter as usize, 1);
        }
    }
}

/// What an entry is made for.
#[derive(Clone, Copy)]
pub enum Kind {
    Object,
    Key,
}

impl Kind {
    fn name(self) -> &'static str {
        match self {
            Kind::Object => "object",
            Kind::Key => "key",
        }
    }
}

impl Director for Saintmode {
    /// VCL of the client side and the CLI ask about the backend as a whole: that is what the C module
    /// answered, and std.healthy() cannot say for which object it asks.
    fn healthy(&self, ctx: Ctx<'_>) -> (bool, f64) {
        let (object, asked) = (ctx.object(), Asked::now());
        if asked.how == How::Exploring {
            self.explore(ctx);
            return (false, 0.0);
        }
        if self.is_unexplored(ctx) {
            return (false, 0.0);
        }
        if let Some(group) = &self.group {
            asked.meets(group);
        }
        if asked.how == How::ForTheWay {
            self.backend_healthy(ctx);
            return (false, 0.0);
        }
        let about_object = asked.about_object(object.fetching);
        let digest = object.digest.filter(|_| about_object);
        let (healthy, since) = self.backend_healthy(ctx);
        let since = since.max(self.changed(time(ctx)));
        let asking = if about_object { Asking::Question } else { Asking::Nobody };
        (self.lets_through(ctx, digest, object.fetching, asking) && healthy, since)
    }

    fn admits(&self, ctx: Ctx<'_>, behind: u32) -> bool {
        if self.is_too_far(ctx, behind) {
            return false;
        }
        let object = ctx.object();
        let asking = match (object.fetching, object.side) {
            // Nobody sees what comes of a pipe, and it may last for hours: no trial.
            (true, Side::Client) => Asking::Question,
            (true, _) => Asking::Fetch,
            (false, _) => Asking::Nobody,
        };
        self.would_serve(ctx, object.digest.filter(|_| object.fetching), object.fetching, asking)
    }

    fn serves(&self, ctx: Ctx<'_>, reached: VclBackend) {
        let object = ctx.object();
        if object.side == Side::Backend && !object.attempt_over {
            attempt::note(ctx, &object, self, reached);
        }
    }

    fn list(&self, ctx: Ctx<'_>, listing: &Listing) {
        let live = self.live(time(ctx));
        let threshold = self.threshold();
        let health = if self.healthy(ctx).0 { "healthy" } else { "sick" };
        let backend = &self.backend_name;
        // More than five columns in one line of the detailed text form would end the server (cli_backend_list).
        let text = match (listing.details, listing.json) {
            (false, false) => format!("{live}/{threshold}\t{health}"),
            (false, true) => format!("[{live}, {threshold}, \"{health}\"]"),
            (true, false) => format!("\n\n\tBackend\tDenied\tThreshold\n\t{backend}\t{live}\t{threshold}\n"),
            (true, true) => {
                format!("{{\"backend\": \"{backend}\", \"denied\": {live}, \"threshold\": {threshold}}},\n")
            }
        };
        listing.write(&text);
    }
}

/// The task's clock; outside of a task, the wall clock.
pub fn time(ctx: Ctx<'_>) -> Time {
    ctx.now().map_or_else(clock, Time::from_seconds)
}

/// The wall clock.
pub fn clock() -> Time {
    Time::from_seconds(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs_f64())
}
