// SPDX-License-Identifier: BSD-2-Clause
//! What is an event: groups ([`matcher`]), changes of a backend's health ([`health`]), counters ([`alarms`]).

pub mod alarms;
pub mod health;
pub mod matcher;
