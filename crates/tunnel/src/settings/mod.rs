// SPDX-License-Identifier: BSD-2-Clause
//! What an operator says of a tunnel, checked.

mod arguments;
mod drop_items;
mod share;

pub use arguments::{Arguments, By, ClientIp, Settings, SettingsError};
pub use drop_items::DropItems;
pub use share::Shares;
