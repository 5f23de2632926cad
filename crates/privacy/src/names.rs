// SPDX-License-Identifier: BSD-2-Clause
//! The names whose values are kept back: one table, each row with its reason. The manual's list is made of it, see [`manual`].
//!
//! Case does not matter, and an underscore is a dash: query keys and cookies are spelled with it.

mod find;
mod header;
mod table;

pub use table::manual;

pub(crate) use find::{Found, of, of_cookie};
pub(crate) use header::{Form, Header, header, is_of_many_parts};
