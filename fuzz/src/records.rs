// SPDX-License-Identifier: BSD-2-Clause
//! Records of the server's log, as it writes them, some with something to hide.

use event::capture::content::Content;
use event::vsl::tags::content;
use shim::log::{ALL, Log, tag_name, tag_named};

use crate::bytes::Bytes;
use crate::tags::TAGS;

/// What is hidden in some of them.
pub const SECRET: &str = "hunter2hunter2";
/// A record's head, on any server: tag and length, then the transaction.
const MAX_HEAD: usize = 4;

/// How long the head is on this server, in words: from there on, the text is in place.
pub fn head() -> usize {
    let words: Vec<u32> = [u32::from(TAGS.begin.unwrap()) << 24 | 4].into_iter().chain([0; MAX_HEAD]).collect();
    let record = Log::of(&words).records(0, ALL).next().unwrap();
    record.end - 1
}

/// Adds a record of the transaction that the words of `of` name.
pub fn record(words: &mut Vec<u32>, tag: u8, of: &[u32], text: &[u8]) {
    words.push(u32::from(tag) << 24 | (text.len() + 1) as u32);
    words.extend(of.iter().copied().chain(std::iter::repeat(0)).take(head() - 1));
    let padded = text.iter().copied().chain(std::iter::repeat_n(0, 4 - text.len() % 4));
    let bytes: Vec<u8> = padded.collect();
    words.extend(bytes.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word)));
}

/// Tag and text of a record that has the secret where it is known for one.
pub fn secret(input: &mut Bytes<'_>) -> (u8, String) {
    let known = ["ReqHeader", "BereqHeader", "RespHeader", "ReqURL", "BogoHeader", "HttpGarbage"].map(tag_named);
    let tag = input.pick(&known).unwrap();
    let noise = input.word("abc/.,: ?&=%", 20);
    let text = match content(tag_name(tag).unwrap()) {
        Content::Url => format!("/a?{noise}&access_token={SECRET}&{noise}"),
        Content::Fragment => format!("{noise}: {SECRET} {noise}"),
        _ => format!(
            "{}{noise}{SECRET}",
            input.pick(&["Authorization: ", "x-api-KEY: ", "Cookie: lang=de; my_session="])
        ),
    };
    (tag, text)
}
