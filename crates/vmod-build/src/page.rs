// SPDX-License-Identifier: BSD-2-Clause
//! A page that a module brings along: its parts put together, and the policy that admits them and nothing else.
//!
//! The policy names style and script by their hashes, which change with every letter: so they are made here.

use std::env;
use std::path::PathBuf;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sha2::{Digest, Sha256};

use crate::failure::fail;
use crate::server::read;
use crate::vmod::write;

/// Makes `$OUT_DIR/page.rs` of `page.html`, `page.css` and `page.js` in a folder of the package: the constants
/// `PAGE`, `SCRIPT` and `POLICY`, which C can take as they are.
pub fn build_page(folder: &str) {
    let folder = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default()).join(folder);
    let [html, style, script] = ["page.html", "page.css", "page.js"].map(|name| {
        let file = folder.join(name);
        println!("cargo:rerun-if-changed={}", file.display());
        read(&file)
    });
    let Some(page) = Page::of(&html, &style, &script) else {
        fail(&format!("{}/page.html has no place for style and script", folder.display()));
    };
    let rust: String = [("PAGE", &page.html), ("SCRIPT", &script), ("POLICY", &page.policy)]
        .map(|(name, text)| format!("pub const {name}: &std::ffi::CStr = c{text:?};\n"))
        .concat();
    write(&PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default()).join("page.rs"), &rust);
}

struct Page {
    html: String,
    /// Of a Content-Security-Policy header.
    policy: String,
}

impl Page {
    /// `None` if the HTML has no place for one of the others.
    fn of(html: &str, style: &str, script: &str) -> Option<Page> {
        let script = source(script);
        let html = put(&put(html, "{{style}}", style)?, "{{integrity}}", &script)?;
        let style = source(style);
        Some(Page {
            html,
            policy: format!(
                "default-src 'none'; script-src '{script}'; style-src '{style}'; img-src data:; connect-src 'self'; \
                 base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
            ),
        })
    }
}

fn put(text: &str, place: &str, what: &str) -> Option<String> {
    text.contains(place).then(|| text.replace(place, what))
}

/// A text's hash as `integrity` and the policy have it.
fn source(text: &str) -> String {
    format!("sha256-{}", STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hash_is_as_browsers_have_it() {
        // Of the specification's own example (CSP 3, 8.4).
        assert_eq!(source("alert('Hello, world.');"), "sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng=");
    }

    #[test]
    fn the_policy_admits_what_the_page_has() {
        let page = Page::of("<style>{{style}}</style><script integrity=\"{{integrity}}\">", "p {}", "run()");
        let Some(Page { html, policy }) = page else { panic!("no page") };
        assert_eq!(html, format!("<style>p {{}}</style><script integrity=\"{}\">", source("run()")));
        assert!(
            policy.contains(&format!("script-src '{}'; style-src '{}';", source("run()"), source("p {}"))),
            "{policy}"
        );
        assert!(Page::of("{{style}}", "", "").is_none() && Page::of("{{integrity}}", "", "").is_none());
    }
}
