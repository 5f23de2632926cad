// SPDX-License-Identifier: BSD-2-Clause
//! A saintmode object by itself: what it was told at its making, the list it keeps, and whether it is sick as a whole. Nothing here asks its
//! backend, nor for what a task keeps.

mod entries;
mod group;
mod keep;
mod policy;
mod saintmode;
mod siblings;
mod threshold;
mod transition;
mod way;

pub use entries::Kind;
pub use group::Group;
pub use policy::{Arguments, Policy};
pub use saintmode::{Objects, Saintmode};
pub use threshold::set_wanted;
pub use way::{LONGEST, Way};
