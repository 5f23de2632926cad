// SPDX-License-Identifier: BSD-2-Clause
//! A response that was observed while its body was still under way: the objects are told what came of it when it has ended.

use denylist::{Digest, Time};

use super::attempt::LONGEST_WAY;
use crate::object::Saintmode;

/// What waits for the end of an attempt.
#[derive(Clone, Copy)]
pub struct Pending {
    /// Of the attempt.
    pub xid: u64,
    pub digest: Digest,
    /// When the response was observed.
    pub answered: Time,
    pub objects: Waiting,
}

/// Objects that are to be told of it: those for which the status was no failure.
#[derive(Clone, Copy)]
pub struct Waiting {
    /// NULL from the end on.
    objects: [*const Saintmode; LONGEST_WAY],
}

impl Waiting {
    pub const NONE: Waiting = Waiting { objects: [std::ptr::null(); LONGEST_WAY] };

    /// Adds an object of this task's VCL.
    pub fn push(&mut self, one: &Saintmode) {
        if let Some(free) = self.objects.iter_mut().find(|object| object.is_null()) {
            *free = one;
        }
    }

    pub fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Saintmode> {
        // SAFETY: NULL or an object that this very task has met, whose VCL keeps it until the task's privates have ended.
        self.objects.iter().filter_map(|object| unsafe { object.as_ref() })
    }
}
