// SPDX-License-Identifier: BSD-2-Clause
//! Rules of the VCL's author: what is worth an event, what is not, and what is changed in one.

pub mod before_send;
pub mod ignore;
pub mod watch;
