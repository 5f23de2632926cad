// SPDX-License-Identifier: BSD-2-Clause
//! How this thread's question to a saintmode object is meant. The way to an object leads through directors of the server, which pass on
//! nothing but the context.

use std::cell::Cell;

use crate::object::{Group, Saintmode};

thread_local! {
    static ASKED: Cell<Asked> = const { Cell::new(Asked::PLAINLY) };
    /// Whether a member of that group was met.
    static MET: Cell<bool> = const { Cell::new(false) };
}

/// A question that is under way.
#[derive(Clone, Copy)]
pub struct Asked {
    pub how: How,
    /// Whose members are looked out for; compared, never looked into.
    group: *const Group<Saintmode>,
}

/// What the answer is wanted for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum How {
    /// The server asks, or VCL does.
    Plainly,
    /// An object further out wants to know about the task's object, whichever side asks.
    AboutObject,
    /// Somebody describes the backend, whatever task it is.
    AsAWhole,
    /// Where the way leads is all that matters.
    ForTheWay,
    /// The same, to be found out for each object on it.
    Exploring,
}

impl Asked {
    const PLAINLY: Asked = Asked { how: How::Plainly, group: std::ptr::null() };

    /// The question that is under way on this thread.
    pub fn now() -> Asked {
        ASKED.get()
    }

    /// Whether it is about the task's object; `fetching` if the server would say so.
    pub fn about_object(self, fetching: bool) -> bool {
        match self.how {
            How::Plainly => fetching,
            How::AboutObject => true,
            How::AsAWhole | How::ForTheWay | How::Exploring => false,
        }
    }

    /// Takes note that a member of `group` is on the way.
    pub fn meets(self, group: &Group<Saintmode>) {
        if std::ptr::eq(self.group, group) {
            MET.set(true);
        }
    }
}

/// Ends a question, also if it panics.
struct Before(Asked);

impl Drop for Before {
    fn drop(&mut self) {
        ASKED.set(self.0);
    }
}

/// `question`, so meant.
pub fn ask<R>(how: How, question: impl FnOnce() -> R) -> R {
    let _before = Before(ASKED.replace(Asked { how, group: ASKED.get().group }));
    question()
}

/// Whether `question` leads to a member of `group`, and its answer, which means nothing.
pub fn ask_way<R>(group: &Group<Saintmode>, question: impl FnOnce() -> R) -> (R, bool) {
    let _before = Before(ASKED.replace(Asked { how: How::ForTheWay, group }));
    MET.set(false);
    let answer = question();
    (answer, MET.get())
}
