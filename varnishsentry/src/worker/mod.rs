// SPDX-License-Identifier: BSD-2-Clause
//! A worker: takes what a reader reads ([`Worker`](consumer::Worker)), and hands what is an event to its client ([`clients`]). What there is to see of it is its
//! [`view`], and what it says goes to the [`journal`].

pub mod child;
pub mod clients;
pub mod consumer;
pub mod journal;
#[cfg(test)]
mod tests;
pub mod view;
