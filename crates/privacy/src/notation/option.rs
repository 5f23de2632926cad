// SPDX-License-Identifier: BSD-2-Clause
//! Options of a command.

use super::value;

/// Those whose value is a user and a password.
const OF_USER: [&[u8]; 4] = [b"-u", b"--user", b"-U", b"--proxy-user"];

/// Whether `name`, behind `before`, is an option: two dashes and a name, or one.
pub(crate) fn is_option(before: &[u8], name: &[u8]) -> bool {
    let is_first = before.last().is_none_or(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
    name.starts_with(b"--") || is_first && name.len() > 2 && name.starts_with(b"-")
}

/// Where the password is behind the option of a user that ends at `end`: `-u ada:…`.
pub(crate) fn password(text: &[u8], name: &[u8], end: usize) -> Option<(usize, usize)> {
    if !name.starts_with(b"-") || !OF_USER.contains(&name) || !matches!(text.get(end), Some(b' ' | b'=')) {
        return None;
    }
    let at = value::skip_any(text, end, b" =");
    let at = at + value::quote_len(text, at);
    let rest = text.get(at..)?;
    let len = rest.iter().position(|byte| byte.is_ascii_whitespace() || matches!(byte, b'"' | b'\''));
    let word = rest.get(..len.unwrap_or(rest.len()))?;
    let colon = word.iter().position(|byte| *byte == b':').filter(|colon| word.get(colon + 1) != Some(&b'/'))?;
    Some((at + colon + 1, at + word.len()))
}
