// SPDX-License-Identifier: BSD-2-Clause
//! The saintmode core: which objects a backend is denied for, until when, and whether they are so
//! many that the whole backend counts as sick. It knows nothing of Varnish and reads no clock.
//!
//! The question is asked by every fetch and answered without a lock; the list changes only when a
//! fetch fails. So whatever a question needs is prepared by the change before it:
//!
//! - `time`: the wall clock in milliseconds, as it comes in with each call;
//! - `table`: from a digest to its entry, for readers that write nothing;
//! - `order`: all entries by expiry: who goes first, how many are live at a given time;
//! - `denylist`: both together behind [`Denylist::deny`], [`Denylist::verdict`] and [`Denylist::live`].
//!
//! Beside the list, for those who want it:
//!
//! - `blame`: whose doing a failed fetch is; `failures`: what counts as a failure;
//! - `offenders`: who was denied before, for how long, and who is on trial;
//! - `rate`: the share of failures in a window; `breaker`: what follows from it for the backend as a whole;
//! - `unsettled`: fetches whose bodies are still under way;
//! - `group`: how many backends may be sick at a time;
//! - `kept`: what objects have in common that stand for the same backend in different VCLs.
//!
//! And what there is to see for people: `entries` and `reason` (what an entry tells), `recent` (what objects
//! are called), `health` (since when a backend is sick as a whole).
#![forbid(unsafe_code)]

mod blame;
mod breaker;
mod denylist;
mod due;
mod entries;
mod failures;
mod group;
mod health;
mod kept;
mod offenders;
mod order;
mod rate;
mod reason;
mod recent;
mod table;
mod time;
mod unsettled;

pub use blame::{Blame, Evidence, Upload, blame, blame_response};
pub use breaker::{Breaker, Ending, Limits};
pub use denylist::{Denied, Denylist, Verdict};
pub use due::Due;
pub use entries::{Entry, NoPosition, Position};
pub use failures::{Failures, Fault, Outcome, UnknownWord};
pub use group::Refusing;
pub use health::{Health, Transition};
pub use kept::{Kept, Key, Store};
pub use offenders::{Offenders, Standing, Task, Terms};
pub use reason::Reason;
pub use recent::Recent;
pub use table::Digest;
pub use time::Time;
pub use unsettled::SETTLES;
