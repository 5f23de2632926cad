// SPDX-License-Identifier: BSD-2-Clause
//! The entries from C: one short function per $Function, $Method and $Event of vmod.vcc, in the manual's order.

mod call;
mod captures;
mod load;
mod rules;
mod scope;
mod settings;
mod status;
mod traces;
mod tunnel;
