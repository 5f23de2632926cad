// SPDX-License-Identifier: BSD-2-Clause
//! From what was found to an event: of a group ([`group_event`], with its log, [`group_log`]), and of everything else ([`news`], a child's [`panic`]).

pub mod group_event;
pub mod group_log;
pub mod news;
pub mod panic;
