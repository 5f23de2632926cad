// SPDX-License-Identifier: BSD-2-Clause
//! What is said of an error, and what must not be said. Of Varnish it knows the words of its log, and nothing of how an event travels.
//!
//! The way of an event: a request's thread asks the [`rules`] whether it is worth one, and writes a [`Record`](capture::record::Record) of it
//! ([`capture`]). That travels as an [`ErrorEvent`](error_event::ErrorEvent); when it is sent it becomes JSON ([`payload`]), in which nothing is that must not leave
//! ([`filter`], by the rules of the crate `privacy`), with the client's [`identity`] in it. What is an event without a request: [`lifecycle`]. What one line says of
//! one that was written: [`summary`]. What records of the server's log mean: [`vsl`].
#![forbid(unsafe_code)]

pub mod capture;
pub mod error_event;
pub mod filter;
pub mod identity;
pub mod lifecycle;
pub mod payload;
pub mod rules;
pub mod summary;
pub mod vsl;
