// SPDX-License-Identifier: BSD-2-Clause
//! A whole configuration, commented: what `varnishsentry settings` prints. Each line that is commented out says what holds without it, or is an example.

use std::fmt::Write;

use super::schema::{FILTER, GLOBAL, Key, Section, WORKER, find};

/// What the file begins with.
const HEAD: &str = "\
# varnishsentry: sends errors in the log of Varnish to Sentry.
#
# One line is enough, the DSN. Every other line below says what holds without it (\"Default\"), or is an example (\"Example\").
# `varnishsentry check` tells what is wrong here and sends a test event; `systemctl reload varnishsentry` takes changes over.
# More files may stand in /etc/varnishsentry/conf.d/*.toml. All is explained in varnishsentry(1).
";

/// What stands between the settings for the daemon and those for workers.
const WORKERS: &str = "\
# Several workers read several instances, send to several projects, or look for different things. Each has a section, in which all
# that stands above may stand too; what it does not say itself holds as it is said at the top. Without such a section there is one, \"default\".
#[worker.shop]
#dsn_file = \"/etc/varnishsentry.shop.dsn\"
#query = \"ReqHeader:host eq 'shop.example'\"
#[[worker.shop.filters.VCL_Log]]
#regexp = \"^payment failed\"
";

/// The text.
pub fn sample() -> String {
    let mut out = HEAD.to_owned();
    let tops = [find(WORKER, ""), find(GLOBAL, "")];
    for section in tops.into_iter().flatten() {
        out.push('\n');
        keys(&mut out, section);
    }
    for section in GLOBAL.iter().chain(WORKER).filter(|section| !section.name.is_empty() && !section.is_list) {
        head(&mut out, section, &format!("[{}]", section.name));
        keys(&mut out, section);
    }
    for section in WORKER.iter().filter(|section| section.is_list) {
        head(&mut out, section, &format!("[[{}]]", section.name));
        keys(&mut out, section);
    }
    head(&mut out, &FILTER, "[[filters.VCL_Log]]");
    keys(&mut out, &FILTER);
    out.push_str("\n# Tags of all events.\n#[tags]\n#site = \"eu-1\"\n\n");
    out.push_str(WORKERS);
    out
}

// Writing to a string does not fail.

fn head(out: &mut String, section: &Section, line: &str) {
    let _ = write!(out, "\n# {}\n#{line}\n", section.about);
}

fn keys(out: &mut String, section: &Section) {
    for Key { name, value, is_example, about, .. } in section.keys {
        let kind = if *is_example { "Example" } else { "Default" };
        // In lists all are examples, or all are defaults.
        let told = if section.is_list { about.to_string() } else { format!("{about} {kind}:").trim_start().to_owned() };
        if !told.is_empty() {
            let _ = writeln!(out, "# {told}");
        }
        let _ = writeln!(out, "#{name} = {value}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_manual_names_every_setting() {
        let manual = include_str!("../../varnishsentry.rst");
        for section in GLOBAL.iter().chain(WORKER).chain([&FILTER]) {
            let name = [section.name].into_iter().filter(|name| !name.is_empty() && *name != FILTER.name);
            for name in name.chain(section.keys.iter().map(|key| key.name)) {
                assert!(manual.contains(&format!("*{name}*")), "{name}");
            }
        }
    }
}
