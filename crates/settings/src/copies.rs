// SPDX-License-Identifier: BSD-2-Clause
//! The section of `spotlight()`: whether copies go to Spotlight, and where.

use std::fmt;

use delivery::spotlight::is_url;

/// Where Spotlight listens unless it was told otherwise.
const DEFAULT_URL: &str = "http://localhost:8969/stream";

/// What was said of copies.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Copies {
    #[default]
    NotGiven,
    Off,
    /// To where Spotlight listens by default.
    On,
    To(String),
}

/// A text that says neither whether there are copies nor where they go. It is not quoted: it may hold a password.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoSpotlight;

impl fmt::Display for NoSpotlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("url must be true, false or a URL, expected http://<host>[:<port>]/<path>")
    }
}

impl std::error::Error for NoSpotlight {}

impl Copies {
    /// Reads the argument in VCL; an empty one says nothing.
    pub fn new(argument: &str) -> Result<Copies, NoSpotlight> {
        match argument {
            "" => Ok(Copies::NotGiven),
            "false" | "0" => Ok(Copies::Off),
            "true" | "1" => Ok(Copies::On),
            url if is_url(url) => Ok(Copies::To(url.to_owned())),
            _ => Err(NoSpotlight),
        }
    }

    /// Where they go; `None` if there are none.
    pub fn url(&self) -> Option<String> {
        match self {
            Copies::NotGiven | Copies::Off => None,
            Copies::On => Some(DEFAULT_URL.to_owned()),
            Copies::To(url) => Some(url.clone()),
        }
    }

    /// Whether nobody has said where to, nor that there are none.
    pub fn is_open(&self) -> bool {
        matches!(self, Copies::NotGiven | Copies::On)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_is_a_word_or_a_url() {
        let default = Ok(Some("http://localhost:8969/stream".to_owned()));
        for (argument, expected) in [
            ("", Ok(None)),
            ("false", Ok(None)),
            ("0", Ok(None)),
            ("true", default.clone()),
            ("1", default),
            ("http://10.0.0.1:8969/stream", Ok(Some("http://10.0.0.1:8969/stream".to_owned()))),
            ("https://spotlight.example", Ok(Some("https://spotlight.example".to_owned()))),
            ("http://[::1]:8969/stream", Ok(Some("http://[::1]:8969/stream".to_owned()))),
            ("yes", Err(NoSpotlight)),
            ("localhost:8969", Err(NoSpotlight)),
            ("ftp://h/stream", Err(NoSpotlight)),
            ("http:///stream", Err(NoSpotlight)),
            ("http://h:0/stream", Err(NoSpotlight)),
            ("http://u:p@h/stream", Err(NoSpotlight)),
            ("http://h/a b", Err(NoSpotlight)),
        ] {
            assert_eq!(Copies::new(argument).map(|copies| copies.url()), expected, "{argument}");
        }
    }

    #[test]
    fn who_is_silent_or_says_no_more_than_yes_leaves_open_where_to() {
        let open = |argument| Copies::new(argument).unwrap().is_open();
        assert!(open("") && open("true"));
        assert!(!open("false") && !open("http://h/stream"));
    }
}
