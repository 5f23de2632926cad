// SPDX-License-Identifier: BSD-2-Clause
//! The entries from C: one short function per $Function, $Method and $Event of vmod.vcc.

mod attempt;
mod call;
mod load;
mod object;
mod status;
