// SPDX-License-Identifier: BSD-2-Clause
//! Work for the time in which a thread would only wait for an answer.
//!
//! Who posts and who waits are ureq's whole depth apart, with no way to hand anything through, but on one thread.

use std::cell::Cell;
use std::fmt;
use std::sync::Arc;

/// What can be done while an answer is awaited. It must not panic, and be short beside a request.
#[derive(Clone)]
pub struct Meanwhile(Arc<dyn Fn() + Send + Sync>);

thread_local! {
    /// What this thread has to do before it waits.
    static PENDING: Cell<Option<Meanwhile>> = const { Cell::new(None) };
}

/// Forgets what was not done.
struct Forget;

impl Drop for Forget {
    fn drop(&mut self) {
        PENDING.take();
    }
}

impl Meanwhile {
    pub fn new(work: impl Fn() + Send + Sync + 'static) -> Meanwhile {
        Meanwhile(Arc::new(work))
    }

    pub fn run(&self) {
        (self.0)();
    }
}

impl fmt::Debug for Meanwhile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Meanwhile")
    }
}

/// Runs `request`, in which [`do_pending`] does the work once, if it is called at all.
pub(crate) fn during<T>(work: Option<&Meanwhile>, request: impl FnOnce() -> T) -> T {
    PENDING.set(work.cloned());
    let _forget = Forget;
    request()
}

/// Called by who is about to wait for an answer.
pub(crate) fn do_pending() {
    if let Some(work) = PENDING.take() {
        work.run();
    }
}

#[cfg(test)]
mod tests {
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    #[test]
    fn the_work_is_done_once_in_a_request_and_never_after_it() {
        let done = Arc::new(AtomicU32::new(0));
        let counted = done.clone();
        let work = Meanwhile::new(move || {
            counted.fetch_add(1, Ordering::Relaxed);
        });
        during(Some(&work), || {
            do_pending();
            do_pending();
        });
        assert_eq!(done.load(Ordering::Relaxed), 1);
        during(Some(&work), || ());
        let panicked = catch_unwind(AssertUnwindSafe(|| during(Some(&work), || panic!("as told"))));
        assert!(panicked.is_err());
        during(None, do_pending);
        do_pending();
        assert_eq!(done.load(Ordering::Relaxed), 1);
    }
}
