// SPDX-License-Identifier: BSD-2-Clause
//! The manual's list of names is that of the table.

use privacy::names::manual;

#[test]
fn the_manual_has_the_names_of_the_table() {
    let text = include_str!("../../../vmod.vcc");
    assert!(text.contains(&manual()), "vmod.vcc, under PRIVACY, has to have these lines:\n{}", manual());
}
