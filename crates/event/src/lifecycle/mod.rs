// SPDX-License-Identifier: BSD-2-Clause
//! Turns in the life of the cache that are events by themselves.

pub mod marker;
pub mod owner;
pub mod settings;
