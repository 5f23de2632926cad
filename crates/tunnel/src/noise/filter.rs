// SPDX-License-Identifier: BSD-2-Clause
//! Tells noise from what is to be heard. Made while a VCL loads, once for all of them: there the stack is large enough to compile expressions.

use std::sync::OnceLock;

use regex::bytes::{Regex, RegexBuilder};

use super::kinds::{CRAWLERS, EXTENSION_FILES, EXTENSION_TEXTS, INJECTED_FILES, INJECTED_TEXTS, Noise};

/// Bytes that each thread matching at a time may cache for one expression.
const MAX_CACHE: usize = 64 * 1024;

/// What is seen of an envelope. What it does not say is empty.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sight<'a> {
    /// Type and text of the exception, or the message.
    pub text: &'a [u8],
    /// The file that threw.
    pub file: &'a [u8],
    /// Whether it is known where something was thrown.
    pub has_place: bool,
    /// The page.
    pub url: &'a [u8],
    pub user_agent: &'a [u8],
}

/// All that noise is known by.
#[derive(Debug)]
pub struct Filter {
    extension_files: Regex,
    extension_texts: Regex,
    crawlers: Regex,
    injected_texts: Regex,
    injected_files: Regex,
}

impl Filter {
    /// The one that there is; made by the first who asks. `None` only if there is a mistake in this crate.
    pub fn shared() -> Option<&'static Filter> {
        static SHARED: OnceLock<Option<Filter>> = OnceLock::new();
        SHARED.get_or_init(Filter::new).as_ref()
    }

    fn new() -> Option<Filter> {
        let compile = |text: &str| RegexBuilder::new(text).unicode(false).dfa_size_limit(MAX_CACHE).build().ok();
        Some(Filter {
            extension_files: compile(EXTENSION_FILES)?,
            extension_texts: compile(EXTENSION_TEXTS)?,
            crawlers: compile(CRAWLERS)?,
            injected_texts: compile(INJECTED_TEXTS)?,
            injected_files: compile(INJECTED_FILES)?,
        })
    }

    /// Which noise it is, if it is one.
    pub fn noise(&self, sight: &Sight<'_>) -> Option<Noise> {
        let Sight { text, file, has_place, url, user_agent } = *sight;
        let ends_with = |text: &[u8], end: &str| text.strip_suffix(b".").unwrap_or(text).ends_with(end.as_bytes());
        if self.crawlers.is_match(user_agent) {
            return Some(Noise::Crawler);
        }
        if is_local(url) {
            return Some(Noise::Localhost);
        }
        if self.extension_files.is_match(file) || self.extension_texts.is_match(text) {
            return Some(Noise::BrowserExtension);
        }
        if ends_with(text, "Script error") && !has_place {
            return Some(Noise::ScriptError);
        }
        if ends_with(text, "ResizeObserver loop limit exceeded")
            || ends_with(text, "ResizeObserver loop completed with undelivered notifications")
        {
            return Some(Noise::ResizeObserver);
        }
        let is_injected = self.injected_texts.is_match(text) || self.injected_files.is_match(file);
        is_injected.then_some(Noise::Injected)
    }
}

/// Whether a URL leads nowhere but to the machine it is used on.
fn is_local(url: &[u8]) -> bool {
    let starts_with = |start: &[u8]| url.get(..start.len()).is_some_and(|begin| begin.eq_ignore_ascii_case(start));
    if starts_with(b"file:") {
        return true;
    }
    if !starts_with(b"http://") && !starts_with(b"https://") {
        return false;
    }
    let rest = url.splitn(3, |byte| *byte == b'/').nth(2).unwrap_or_default();
    let authority = rest.split(|byte| matches!(byte, b'/' | b'?' | b'#')).next().unwrap_or_default();
    let address = authority.rsplit(|byte| *byte == b'@').next().unwrap_or_default();
    if address.starts_with(b"[::1]") {
        return true;
    }
    let host = address.split(|byte| *byte == b':').next().unwrap_or_default().to_ascii_lowercase();
    host == b"localhost"
        || host.ends_with(b".localhost")
        || host == b"0.0.0.0"
        || host.starts_with(b"127.") && host.iter().all(|byte| byte.is_ascii_digit() || *byte == b'.')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noise(sight: Sight<'_>) -> Option<Noise> {
        Filter::shared().unwrap().noise(&sight)
    }

    #[test]
    fn each_kind_is_known_by_what_it_says() {
        let texts: &[(Noise, &str)] = &[
            (Noise::BrowserExtension, "Error: Extension context invalidated."),
            (Noise::BrowserExtension, "Error: Could not establish connection. Receiving end does not exist."),
            (Noise::BrowserExtension, "TypeError: can't access dead object"),
            (Noise::ScriptError, "Script error."),
            (Noise::ScriptError, "Error: Script error"),
            (Noise::ResizeObserver, "ResizeObserver loop limit exceeded"),
            (Noise::ResizeObserver, "Error: ResizeObserver loop completed with undelivered notifications."),
            (Noise::Injected, "ReferenceError: Can't find variable: __gCrWeb"),
            (Noise::Injected, "TypeError: null is not an object (evaluating 'elt.parentNode')"),
            (Noise::Injected, "ReferenceError: Can't find variable: _AutofillCallbackHandler"),
            (Noise::Injected, "TypeError: a[b].target.className.indexOf is not a function"),
            (Noise::Injected, "TypeError: undefined is not an object (evaluating 'window.webkit.messageHandlers')"),
        ];
        for (kind, text) in texts {
            assert_eq!(noise(Sight { text: text.as_bytes(), ..Sight::default() }), Some(*kind), "{text}");
        }
        let files: &[(Noise, &str)] = &[
            (Noise::BrowserExtension, "chrome-extension://abc/content.js"),
            (Noise::BrowserExtension, "moz-extension://abc/x.js"),
            (Noise::BrowserExtension, "safari-web-extension://abc/x.js"),
            (Noise::BrowserExtension, "webkit-masked-url://hidden/"),
            (Noise::Injected, "https://translate.googleapis.com/_/translate_http/x.js"),
            (Noise::Injected, "https://shop-example.translate.goog/x.js"),
        ];
        for (kind, file) in files {
            assert_eq!(noise(Sight { file: file.as_bytes(), ..Sight::default() }), Some(*kind), "{file}");
        }
    }

    #[test]
    fn robots_are_known_by_their_name() {
        for agent in [
            "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
            "Mozilla/5.0 (Linux; Android 5.0) (compatible; Bytespider; spider-feedback@bytedance.com)",
            "Mozilla/5.0 (compatible; bingbot/2.0)",
            "facebookexternalhit/1.1",
            "Mozilla/5.0 (X11; Linux x86_64) HeadlessChrome/120.0.0.0 Safari/537.36",
            "SomeBot",
            "Better Uptime Bot Mozilla/5.0",
        ] {
            assert_eq!(
                noise(Sight { user_agent: agent.as_bytes(), ..Sight::default() }),
                Some(Noise::Crawler),
                "{agent}"
            );
        }
        for agent in [
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/120.0.0.0 Safari/537.36",
            "Mozilla/5.0 (X11; CUBOT NOTE 20) Chrome/120.0",
            "sentry.python/2.0",
            "Robotics App 1",
            "",
        ] {
            assert_eq!(noise(Sight { user_agent: agent.as_bytes(), ..Sight::default() }), None, "{agent}");
        }
    }

    #[test]
    fn a_page_on_the_own_machine_is_local() {
        for url in [
            "file:///home/x.html",
            "http://localhost",
            "HTTP://LocalHost:3000/a",
            "https://app.localhost/",
            "http://127.0.0.1:8080/",
            "http://127.1.2.3",
            "http://[::1]:80/",
            "http://u:p@localhost/",
            "http://0.0.0.0:5000",
        ] {
            assert_eq!(noise(Sight { url: url.as_bytes(), ..Sight::default() }), Some(Noise::Localhost), "{url}");
        }
        for url in [
            "https://shop.example/localhost",
            "http://127.0.0.1.example/",
            "http://mylocalhost/",
            "/a",
            "",
            "http://localhost.example",
            "https://a/?u=http://localhost/",
        ] {
            assert_eq!(noise(Sight { url: url.as_bytes(), ..Sight::default() }), None, "{url}");
        }
    }

    #[test]
    fn what_has_a_cause_in_the_site_is_heard() {
        let heard = Sight {
            text: b"TypeError: x is undefined",
            file: b"https://shop.example/chrome-extension/app.js",
            has_place: true,
            url: b"https://shop.example/cart",
            user_agent: b"Mozilla/5.0 (X11; Linux x86_64; rv:120.0) Gecko/20100101 Firefox/120.0",
        };
        assert_eq!(noise(heard), None);
        assert_eq!(noise(Sight { text: b"Error: Script error.", ..heard }), None, "its place is known");
        assert_eq!(noise(Sight { text: b"ResizeObserver loop limit exceeded in Chart", ..heard }), None);
    }

    #[test]
    fn names_are_told_apart() {
        for (place, noise) in Noise::ALL.into_iter().enumerate() {
            assert_eq!(noise as usize, place);
            assert_eq!(Noise::ALL.into_iter().filter(|other| other.as_str() == noise.as_str()).count(), 1);
        }
    }
}
