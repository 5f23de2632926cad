// SPDX-License-Identifier: BSD-2-Clause
//! The panic guard: every entry from C runs inside it. A panic that left Rust would end the cache.

use std::any::Any;
use std::cell::Cell;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::ctx::{Ctx, Tag, VrtCtx};

/// What of a panic's text may be logged.
pub type Scrub = fn(&str) -> String;

static PANICS: OnceLock<(&'static AtomicU64, Scrub)> = OnceLock::new();

thread_local! {
    /// Where this thread's last panic came from; the payload does not say.
    static PLACE: Cell<Option<Place>> = const { Cell::new(None) };
}

/// Makes panics quiet (Rust would print a backtrace, on a stack that has no room for it) and has them
/// counted in `counter`; their texts, in which a piece of what was looked at may be, are logged as `scrub` leaves them. Only the first call has an effect.
pub fn install(counter: &'static AtomicU64, scrub: Scrub) {
    if PANICS.set((counter, scrub)).is_err() {
        return;
    }
    std::panic::set_hook(Box::new(|info| PLACE.set(info.location().map(Place::of))));
}

/// Runs the body of a call from C. If it panics, the panic is counted and logged to the task's log,
/// and `neutral` is returned.
///
/// # Safety
/// `ctx` is what the server passed to this call, or NULL.
pub unsafe fn enter<'t, T>(ctx: *const VrtCtx, call: &str, neutral: T, body: impl FnOnce(Ctx<'t>) -> T) -> T {
    // SAFETY: the caller passes on what the server gave it.
    let Some(ctx) = (unsafe { Ctx::from_raw(ctx) }) else { return neutral };
    guarded(call, neutral, |text| ctx.log(Tag::Error, text), || body(ctx))
}

/// [`enter`] for the calls that come without a context: a panic goes to the log outside of all tasks.
pub fn enter_bare<T>(call: &str, neutral: T, body: impl FnOnce() -> T) -> T {
    guarded(call, neutral, |text| crate::ctx::log(Tag::Error, text), body)
}

fn guarded<T>(call: &str, neutral: T, log: impl FnOnce(&str), body: impl FnOnce() -> T) -> T {
    // Unwind safety: what a panic may leave half done is behind parking_lot locks, which do not poison,
    // and is counters or caches; no invariant that memory safety rests on spans a call.
    let body = || {
        #[cfg(feature = "fault-injection")]
        inject(call);
        body()
    };
    match catch_unwind(AssertUnwindSafe(body)) {
        Ok(value) => value,
        Err(panic) => {
            // A log or a counter that panics in turn has nobody left to tell.
            let _ = catch_unwind(AssertUnwindSafe(|| report(call, &*panic, log)));
            // The payload's own Drop may panic.
            let _ = catch_unwind(AssertUnwindSafe(|| drop(panic)));
            neutral
        }
    }
}

/// Panics if the environment variable VMOD_PANIC_IN names this call: the guard's test.
#[cfg(feature = "fault-injection")]
fn inject(call: &str) {
    assert!(std::env::var("VMOD_PANIC_IN").as_deref() != Ok(call), "injected");
}

fn report(call: &str, panic: &(dyn Any + Send), log: impl FnOnce(&str)) {
    // Without a counter, early in a load, nobody has sent anything yet.
    let text = match PANICS.get() {
        Some((counter, scrub)) => {
            counter.fetch_add(1, Ordering::Relaxed);
            scrub(message(panic))
        }
        None => message(panic).to_owned(),
    };
    match PLACE.take() {
        Some(place) => log(&format!("{call}: internal error: {text}, {}:{}", place.file(), place.line)),
        None => log(&format!("{call}: internal error: {text}")),
    }
}

/// What a panic says.
pub fn message(panic: &(dyn Any + Send)) -> &str {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => text,
        (_, Some(text)) => text,
        _ => "panic without a message",
    }
}

/// Where a panic came from, small enough to keep without an allocation.
#[derive(Clone, Copy)]
struct Place {
    /// The end of the file's path, which says the most.
    file: [u8; 40],
    line: u32,
}

impl Place {
    fn of(location: &Location<'_>) -> Place {
        let mut file = [b' '; 40];
        let path = location.file().as_bytes();
        let tail = path.len().saturating_sub(file.len());
        for (to, from) in file.iter_mut().zip(path.iter().skip(tail)) {
            *to = *from;
        }
        Place { file, line: location.line() }
    }

    fn file(&self) -> &str {
        std::str::from_utf8(&self.file).unwrap_or_default().trim_end()
    }
}
