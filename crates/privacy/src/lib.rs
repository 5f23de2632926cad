// SPDX-License-Identifier: BSD-2-Clause
//! What must not be said: values of the wire, and texts of whoever has seen them, without secrets.
//!
//! [`scrub`] has the rules for one value, by the [`settings`] of a client; [`names`] what tells that it is one to be kept back. What was [`taken`] out of a
//! named place is [`known`], and looked for elsewhere.
#![forbid(unsafe_code)]

pub mod address;
pub mod body;
mod cookies;
mod credential;
mod escape;
pub mod half;
mod json;
pub mod known;
pub mod names;
mod notation;
pub mod pairs;
pub mod scrub;
pub mod secret;
pub mod settings;
mod spans;
mod syntax;
pub mod taken;
mod userinfo;
mod wire;
mod word_list;
