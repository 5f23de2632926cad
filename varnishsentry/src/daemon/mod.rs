// SPDX-License-Identifier: BSD-2-Clause
//! The daemon: what is to be done ([`plan`]), and the loop that has it done, until the end ([`run`]). What the service manager is told: [`service`].

pub mod plan;
pub mod run;
mod service;
