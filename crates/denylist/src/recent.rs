// SPDX-License-Identifier: BSD-2-Clause
//! What the objects that were denied last are called: entries know digests only, people know URLs.

use std::collections::VecDeque;

use parking_lot::Mutex;

use crate::table::Digest;

/// The names of the objects denied last, a few of them; nothing that grows with the list.
#[derive(Debug, Default)]
pub struct Recent(Mutex<VecDeque<(Digest, Box<str>)>>);

impl Recent {
    /// Names that are kept.
    const KEPT: usize = 32;
    /// The longest name that is kept whole, in bytes.
    const LONGEST: usize = 120;

    /// Remembers an object as the newest.
    pub fn remember(&self, digest: &Digest, name: &str) {
        let name = shorten(name, Self::LONGEST);
        let mut names = self.0.lock();
        names.retain(|(known, _)| known != digest);
        if names.len() >= Self::KEPT {
            names.pop_front();
        }
        names.push_back((*digest, name.into()));
    }

    /// The object's name, if it is one of the last.
    pub fn name(&self, digest: &Digest) -> Option<Box<str>> {
        self.0.lock().iter().find(|(known, _)| known == digest).map(|(_, name)| name.clone())
    }

    /// As many of the names, the newest first, as have room in so many bytes with `, ` between them.
    pub fn newest(&self, room: usize) -> String {
        let mut text = String::new();
        for (_, name) in self.0.lock().iter().rev() {
            let comma = if text.is_empty() { "" } else { ", " };
            if text.len() + comma.len() + name.len() > room {
                break;
            }
            text.push_str(comma);
            text.push_str(name);
        }
        text
    }
}

/// The text's beginning, of at most so many bytes, with dots in place of the rest.
fn shorten(text: &str, longest: usize) -> String {
    const DOTS: &str = "...";
    if text.len() <= longest {
        return text.to_owned();
    }
    let most = longest.saturating_sub(DOTS.len());
    let end = text.char_indices().map(|(at, _)| at).take_while(|at| *at <= most).last().unwrap_or_default();
    [text.get(..end).unwrap_or_default(), DOTS].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_come_first_and_each_once() {
        let recent = Recent::default();
        for (n, name) in [(1, "shop/a"), (2, "shop/b"), (1, "shop/a"), (3, "shop/c")] {
            recent.remember(&[n; 32], name);
        }
        assert_eq!(recent.newest(100), "shop/c, shop/a, shop/b");
        assert_eq!(recent.newest(14), "shop/c, shop/a");
        assert_eq!(recent.newest(13), "shop/c");
        assert_eq!((recent.name(&[2; 32]).as_deref(), recent.name(&[4; 32])), (Some("shop/b"), None));
    }

    #[test]
    fn names_are_few_and_short() {
        let recent = Recent::default();
        for n in 0..100 {
            recent.remember(&[n; 32], &"é".repeat(200));
        }
        let name = recent.name(&[99; 32]).unwrap_or_default();
        assert!(name.len() <= Recent::LONGEST && name.ends_with("é..."), "{name}");
        assert_eq!(recent.0.lock().len(), Recent::KEPT);
        assert_eq!(recent.name(&[67; 32]), None);
    }
}
