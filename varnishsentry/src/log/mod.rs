// SPDX-License-Identifier: BSD-2-Clause
//! What the records of a transaction tell: [`parts`] which of them tell what, [`reading`] all that they say together.

pub mod parts;
pub mod reading;
#[cfg(test)]
pub mod sample;
