// SPDX-License-Identifier: BSD-2-Clause
//! What the rules of [`crate::rules::watch`] found in a log: the most severe record is the event's message, and
//! all of them are listed.

use protocol::text::{cut, fit, line};

use crate::capture::content::Content;
use crate::capture::level::Level;
use crate::filter::Filter;

/// Bytes of the list, of which Sentry keeps 16 KiB, and of one line of it.
const MAX_LIST: usize = 15 * 1024;
const MAX_LINE: usize = 300;
const MAX_NAME: usize = 100;

/// A field [`crate::capture::fields::Kind::Match`].
struct Match<'a> {
    level: Level,
    content: Content,
    rule: &'a [u8],
    tag: &'a [u8],
    text: &'a [u8],
}

/// The matches of an event, in the order of the log.
#[derive(Default)]
pub(super) struct Matches<'a>(Vec<Match<'a>>);

impl<'a> Matches<'a> {
    /// Adds what a field says.
    pub fn add(&mut self, name: &'a [u8], text: &'a [u8]) {
        self.0.extend(parse(name, text));
    }

    /// `[Tag] text` of the first one of the highest level; `None` if the event is not about a log.
    pub fn message(&self, filter: &Filter<'_>) -> Option<String> {
        // Backwards, for of equals max_by_key() takes the last one.
        let worst = self.0.iter().rev().max_by_key(|found| found.level)?;
        Some(worst.line(filter))
    }

    /// `[level/rule] [Tag] text` of each.
    pub fn list(&self, filter: &Filter<'_>) -> Vec<String> {
        let mut room = MAX_LIST;
        let lines = self.0.iter().map_while(|found| {
            let told = format!("[{}/{}] {}", found.level.as_str(), line(found.rule, MAX_NAME), found.line(filter));
            let told = fit(cut(told.into(), MAX_LINE), room)?.into_owned();
            room = room.checked_sub(told.len() + ",\"\"".len())?;
            Some(told)
        });
        lines.collect()
    }
}

impl Match<'_> {
    fn line(&self, filter: &Filter<'_>) -> String {
        let tag = line(self.tag, MAX_NAME);
        let text = if filter.removes_record(&tag) {
            "[Filtered]".to_owned()
        } else {
            filter.log_record(self.content, self.text)
        };
        format!("[{tag}] {text}")
    }
}

fn parse<'a>(name: &'a [u8], text: &'a [u8]) -> Option<Match<'a>> {
    let (content, name) = name.split_first()?;
    let mut words = name.split(|byte| *byte == 0);
    let level = Level::from_name(words.next()?)?;
    Some(Match { level, content: Content::from_number(*content)?, tag: words.next()?, rule: words.next()?, text })
}

#[cfg(test)]
mod tests {
    use super::*;
    use privacy::scrub::Scrub;

    fn name(level: &str, tag: &str, rule: &str) -> Vec<u8> {
        [&[Content::Header as u8], level.as_bytes(), b"\0", tag.as_bytes(), b"\0", rule.as_bytes()].concat()
    }

    #[test]
    fn the_most_severe_leads_and_all_are_listed_without_secrets() {
        let names = [name("info", "ReqHeader", "a"), name("error", "ReqHeader", "b"), name("error", "RespHeader", "c")];
        let texts: [&[u8]; 3] = [b"Host: h", b"Cookie: a=s3", b"X: y"];
        let mut matches = Matches::default();
        assert_eq!(matches.message(&Filter::from(Scrub::new(false))), None);
        names.iter().zip(texts).for_each(|(name, text)| matches.add(name, text));
        assert_eq!(
            matches.message(&Filter::from(Scrub::new(false))).as_deref(),
            Some("[ReqHeader] Cookie: a=[Filtered]")
        );
        let list = [
            "[info/a] [ReqHeader] Host: h",
            "[error/b] [ReqHeader] Cookie: a=[Filtered]",
            "[error/c] [RespHeader] X: y",
        ];
        assert_eq!(matches.list(&Filter::from(Scrub::new(false))), list);
    }

    #[test]
    fn a_long_list_ends_where_sentry_would_cut_it() {
        let name = name("error", "Tag", &"r".repeat(200));
        let mut matches = Matches::default();
        (0..100).for_each(|_| matches.add(&name, &[b'x'; 2000]));
        let list = matches.list(&Filter::from(Scrub::new(false)));
        let size = serde_json::to_string(&list).unwrap().len();
        assert!((49..=51).contains(&list.len()) && size <= 16 * 1024, "{size}");
    }

    #[test]
    fn what_is_no_match_is_left_out() {
        let mut matches = Matches::default();
        for name in [&b""[..], b"\x01", b"\x09error\0T\0r", b"\x01grave\0T\0r", b"\x01error\0T"] {
            matches.add(name, b"x");
        }
        assert_eq!(matches.message(&Filter::from(Scrub::new(false))), None);
    }
}
