// SPDX-License-Identifier: BSD-2-Clause
//! What must not be said: all that comes from the wire goes through [`filter`] on its way into an event.
//!
//! [`scrub`] has the rules for one value, [`names`] what tells that it is one to be kept back, [`known`] looks for what was.

pub mod address;
mod body;
mod cookies;
mod credential;
mod escape;
pub mod filter;
mod half;
mod json;
mod known;
pub mod names;
mod notation;
mod pairs;
pub mod scrub;
mod secret;
pub mod settings;
mod spans;
mod syntax;
mod taken;
mod userinfo;
mod value;
mod wire;
mod word_list;

pub(crate) use address::anonymous_text;
pub(crate) use body::Body;
