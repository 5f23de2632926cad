// SPDX-License-Identifier: BSD-2-Clause
//! The boundary to varnishd: all of the C, and nearly all of the unsafe.
//!
//! [`ctx`]: a call's context: where it comes from, its messages, log, workspace. [`log`]: the records that
//! a task has logged so far. [`story`]: the cache's part in a task. [`body`]: the request's body. [`guard`]: the panic guard every entry from C runs in. [`text`]: VCL's strings.
//! [`state`]: what a task or a VCL keeps for a module. [`note`]: what a task keeps in a few plain bytes. [`counters`]: a segment that varnishstat shows. [`director`]: a director that stands for one backend. [`endpoint`]: where that one leads to.
//! [`ending`]: how an attempt came to its end.
//! [`digest`]: the digest of a key.
//!
//! `shim.h` declares the C side; each `extern` block here is its counterpart.

pub mod body;
pub mod counters;
pub mod ctx;
pub mod digest;
pub mod director;
pub mod ending;
pub mod endpoint;
pub mod guard;
pub mod log;
pub mod note;
pub mod state;
pub mod story;
pub mod text;

pub use ctx::{Ctx, Facts, Message, Side, Tag, VrtCtx};
pub use guard::enter;
pub use story::Story;
pub use text::VclString;
