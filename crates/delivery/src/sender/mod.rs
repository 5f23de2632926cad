// SPDX-License-Identifier: BSD-2-Clause
//! The sender of a client: one thread that decides what leaves and when.
//!
//! [`run`] waits on one inbox, hands each [`message`] to the [`machine`] and does what that says: it alone knows threads and sockets. The machine has its
//! [`connections`] with what is on them, the [`routes`] to its destinations with each server's pace ([`pacer`]), what those may be ([`listing`]), its [`spooling`], has an [`encode`]r make bodies, and judges answers by [`verdict`].

pub mod answer_times;
mod cargo;
mod connections;
mod encode;
mod ending;
mod keeping;
mod listing;
mod loading;
mod machine;
pub mod message;
mod outcome;
mod pacer;
mod posting;
mod routes;
pub mod run;
mod spooling;
mod verdict;

#[cfg(test)]
mod tests;
