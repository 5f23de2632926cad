// SPDX-License-Identifier: BSD-2-Clause
//! The machine in a world of the tests' making.

mod ahead;
mod end;
mod exact;
mod kinds;
mod pace;
mod spool;
mod world;
