// SPDX-License-Identifier: BSD-2-Clause
//! Reports errors from the shared log of Varnish to Sentry, without touching VCL.
//!
//! In the order of what happens: [`options`] and [`commands`], what is asked for. [`config`], what the operator says. [`daemon`], the loop. [`reader`], which reads the
//! log. [`worker`], which takes it: [`filter`], what is an event; [`log`], what records tell; [`report`], the event. [`status`], how all that goes. [`cli`] asks the manager
//! what the log does not say; [`stream`] is whom that and the status speak with.

pub mod cli;
pub mod commands;
pub mod config;
pub mod daemon;
pub mod filter;
pub mod log;
pub mod options;
mod pid_file;
mod reader;
pub mod report;
mod signals;
pub mod status;
pub mod stream;
mod worker;
