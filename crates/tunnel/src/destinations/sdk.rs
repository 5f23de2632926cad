// SPDX-License-Identifier: BSD-2-Clause
//! How Sentry's JavaScript SDK names a DSN.

/// A DSN as the SDK has it in the header of an envelope: as it is written, without its secret; white space around it and slashes behind it left aside, as the SDK takes neither.
pub fn dsn(written: &str) -> String {
    let text = written.trim().trim_end_matches('/');
    let (keys, rest) = text.split_at(text.rfind('@').unwrap_or(0));
    // The scheme has a colon of its own.
    let start = keys.find("://").map_or(0, |at| at + 3);
    let end = keys.get(start..).and_then(|keys| keys.find(':')).map_or(keys.len(), |at| start + at);
    [keys.get(..end).unwrap_or(keys), rest].concat()
}

/// The path that it posts to by `tunnel: true`, since 11.13: `/` and the FNV-1a hash of [`dsn`], in base 36.
pub fn path(dsn: &str) -> String {
    let hash = dsn.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("/{}", base_36(hash))
}

fn base_36(mut number: u32) -> String {
    let mut digits = Vec::new();
    loop {
        digits.push(char::from_digit(number % 36, 36).unwrap_or('0'));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_is_the_one_that_the_sdk_makes() {
        // By `getTunnelPath` of @sentry/core 11.12.0.
        for (written, expected) in [
            ("https://0123456789abcdef@sentry.example.com/42", "/1nkzn7d"),
            (" https://0123456789abcdef:secret@sentry.example.com/42/ ", "/1nkzn7d"),
            ("https://0123456789abcdef@sentry.example.com:443/42", "/1e3l8pk"),
            ("https://key@Sentry.example.com:9000/a/b/1", "/z2kjvb"),
            ("http://k@[::1]:8000/7", "/1v85bbp"),
        ] {
            assert_eq!(path(&dsn(written)), expected, "{written}");
        }
        assert_eq!(
            (base_36(0).as_str(), base_36(35).as_str(), base_36(36).as_str(), base_36(u32::MAX).as_str()),
            ("0", "z", "10", "1z141z3")
        );
    }
}
