// SPDX-License-Identifier: BSD-2-Clause
//! The name of an entry's file: time, id, length and parts, so that a folder is known without opening what is in it, and
//! a file of a wrong size costs that file.
//!
//! `00001767225600-0123…-812-error=1,attachment=900@0.entry`

use std::fmt;

use protocol::category::Category;
use protocol::entry::Part;

use super::key::Key;

const SUFFIX: &str = ".entry";
/// Of a file that is being written.
const UNFINISHED: &str = ".new";
/// What file systems take.
const LONGEST: usize = 255;

/// A name in its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FileName<'a> {
    pub key: Key,
    /// Of the file, in bytes.
    pub length: u64,
    pub parts: &'a [Part],
}

impl fmt::Display for FileName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:014}-{:032x}-{}-", self.key.millis, self.key.id, self.length)?;
        for (place, Part { category, quantity, with }) in self.parts.iter().enumerate() {
            let comma = if place == 0 { "" } else { "," };
            write!(f, "{comma}{}={quantity}", category.as_str())?;
            if let Some(with) = with {
                write!(f, "@{with}")?;
            }
        }
        f.write_str(SUFFIX)
    }
}

impl FileName<'_> {
    /// The name, and the one it has until it is whole; `None` if it has more parts than a name has room for.
    pub fn names(&self) -> Option<(String, String)> {
        let name = self.to_string();
        let unfinished = format!("{name}{UNFINISHED}");
        (unfinished.len() <= LONGEST).then_some((name, unfinished))
    }
}

/// Key, length and parts out of a name that was made here.
pub fn parse(name: &str) -> Option<(Key, u64, Vec<Part>)> {
    let mut fields = name.strip_suffix(SUFFIX)?.split('-');
    let (millis, id, length, parts) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let key = Key { millis: millis.parse().ok()?, id: u128::from_str_radix(id, 16).ok()? };
    let length = length.parse().ok()?;
    let parts: Vec<_> = parts.split(',').map(parse_part).collect::<Option<_>>()?;
    let canonical = FileName { key, length, parts: &parts };
    (are_sound(&parts) && canonical.to_string() == name).then_some((key, length, parts))
}

/// Whether it is the name of a file that was never finished.
pub fn is_unfinished(name: &str) -> bool {
    name.strip_suffix(UNFINISHED).is_some_and(|name| parse(name).is_some())
}

fn parse_part(text: &str) -> Option<Part> {
    let (category, quantity) = text.split_once('=')?;
    let category = category_of(category)?;
    let (quantity, with) = quantity.split_once('@').map_or((quantity, None), |(quantity, with)| (quantity, Some(with)));
    let with = with.map(str::parse).transpose().ok()?;
    Some(Part { category, quantity: quantity.parse().ok()?, with })
}

/// The category of that word.
pub fn category_of(word: &str) -> Option<Category> {
    Category::ALL.into_iter().find(|category| category.as_str() == word)
}

/// Whether there are parts, and each goes with another one or with none.
pub fn are_sound(parts: &[Part]) -> bool {
    let sound = |(place, part): (usize, &Part)| part.with.is_none_or(|with| with < parts.len() && with != place);
    !parts.is_empty() && parts.iter().enumerate().all(sound)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_says_all_that_an_index_has_to_know() {
        let parts = [Part::new(Category::Error, 1), Part::new(Category::Attachment, 900).together_with(0)];
        let key = Key { millis: 1000, id: 0xab };
        let name = FileName { key, length: 812, parts: &parts };
        let text = "00000000001000-000000000000000000000000000000ab-812-error=1,attachment=900@0.entry";
        assert_eq!(name.names(), Some((text.to_owned(), format!("{text}.new"))));
        assert_eq!(parse(text), Some((key, 812, parts.to_vec())));
        assert!(is_unfinished(&format!("{text}.new")) && !is_unfinished(text));
        let widest = FileName { key: Key { millis: u64::MAX, id: u128::MAX }, length: u64::MAX, parts: &parts };
        assert_eq!(parse(&widest.to_string()), Some((widest.key, u64::MAX, parts.to_vec())));
        let many = [Part::new(Category::TraceMetricByte, u64::MAX); 9];
        assert_eq!(FileName { parts: &many, ..name }.names(), None);
    }

    #[test]
    fn other_names_are_none_of_ours() {
        let good = "00000000001000-000000000000000000000000000000ab-812-error=1.entry";
        assert!(parse(good).is_some());
        for (from, to) in [
            (".entry", ".event"),
            (".entry", ".entry3"),
            ("000010", "10"),
            ("ab", "AB"),
            ("812", "+812"),
            ("812", "0812"),
            ("error", "errors"),
            ("=1", "=01"),
            ("=1", "=1@0"),
            ("=1", "=1@7"),
            ("=1", "=1,"),
            ("-error=1", "-"),
            ("-error=1", ""),
            ("=1", "=99999999999999999999"),
            ("=1", "=1-x"),
        ] {
            let name = good.replacen(from, to, 1);
            assert_ne!(name, good);
            assert_eq!(parse(&name), None, "{name}");
        }
        for name in ["", ".entry", "---.entry", "lock", "ä.entry"] {
            assert_eq!(parse(name), None, "{name}");
        }
    }
}
