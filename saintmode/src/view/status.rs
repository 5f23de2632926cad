// SPDX-License-Identifier: BSD-2-Clause
//! saintmode.status(): the C module's text, with its end.

use std::fmt::Write;

use shim::Ctx;

use crate::clock::time;
use crate::object::Objects;

/// Each object's line.
pub fn status(ctx: Ctx<'_>, objects: &Objects) -> String {
    let now = time(ctx);
    let mut text = String::from("{\n\t\"saintmode\": [\n");
    objects.with(|all| {
        for (at, one) in all.enumerate() {
            if at > 0 {
                text.push_str(",\n");
            }
            // Writing to a String cannot fail. VCL's names need no escaping.
            let _ = write!(
                text,
                "\t\t{{ \"name\": \"{}\", \"backend\": \"{}\", \"count\": \"{}\", \"threshold\": \"{}\" }}",
                one.name(),
                one.backend_name(),
                one.live(now),
                one.threshold()
            );
        }
    });
    if !text.ends_with("[\n") {
        text.push('\n');
    }
    text.push_str("\t]\n}\n");
    text
}
