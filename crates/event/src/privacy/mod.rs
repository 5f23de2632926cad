// SPDX-License-Identifier: BSD-2-Clause
//! What must not be said: all that comes from the wire goes through here on its way into an event.

mod address;
mod body;
mod json_in_text;
mod log_record;
mod names;
pub mod scrub;
mod secret;
pub mod settings;
mod syntax;
mod userinfo;

pub(crate) use address::anonymous_text;
pub(crate) use body::Body;
