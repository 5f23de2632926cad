// SPDX-License-Identifier: BSD-2-Clause
//! What VCL told of one task: its key, and the objects that are not to serve it any more.

use denylist::Digest;
use shim::Ctx;
use shim::note::{Notes, Plain};

use crate::object::{Objects, Saintmode};

static NOTES: Notes<Scope> = Notes::new();

/// As many objects can be excluded: some for each of the attempts that `max_retries` allows.
const MOST_EXCLUDED: usize = 16;

/// A task's.
#[derive(Clone, Copy)]
pub struct Scope {
    has_key: bool,
    key: Digest,
    /// NULL from the end on.
    excluded: [*const Saintmode; MOST_EXCLUDED],
}

// SAFETY: false, numbers and NULL.
unsafe impl Plain for Scope {}

impl Scope {
    /// What was told of the task, if anything; looks only if the VCL of `objects` tells such things.
    pub fn of(ctx: Ctx<'_>, objects: &Objects) -> Option<Scope> {
        if objects.are_scoped() { NOTES.get(ctx) } else { None }
    }

    pub fn key(&self) -> Option<&Digest> {
        self.has_key.then_some(&self.key)
    }

    pub fn excludes(&self, one: &Saintmode) -> bool {
        self.excluded.iter().any(|excluded| std::ptr::eq(*excluded, one))
    }
}

/// Sets the task's key, or takes it away; false without room for it.
pub fn set_key(ctx: Ctx<'_>, key: Option<Digest>) -> bool {
    let set = |scope: &mut Scope| (scope.has_key, scope.key) = (key.is_some(), key.unwrap_or_default());
    NOTES.change(ctx, set).is_some()
}

/// Excludes the object from the task; false without room for it.
pub fn exclude(ctx: Ctx<'_>, one: &Saintmode) -> bool {
    let exclude = |scope: &mut Scope| {
        let free = |excluded: &&mut *const Saintmode| excluded.is_null() || std::ptr::eq(**excluded, one);
        scope.excluded.iter_mut().find(free).map(|excluded| *excluded = one).is_some()
    };
    NOTES.change(ctx, exclude).unwrap_or(false)
}
