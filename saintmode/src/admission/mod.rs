// SPDX-License-Identifier: BSD-2-Clause
//! Whether a fetch may go to the backend: what an object has against it, the trials that it takes, what the object's group has to say, and
//! the verdict that comes of all that.

mod asking;
mod group;
mod refusal;
mod trial;
mod verdict;

pub use asking::Asking;
