// SPDX-License-Identifier: BSD-2-Clause
//! JSON of payloads, looked at without being taken apart: only what is asked for is read, all else is stepped over in a loop, however deep it is nested.

mod cursor;
mod text;

pub use cursor::Cursor;
pub use text::Text;
