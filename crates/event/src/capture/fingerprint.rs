// SPDX-License-Identifier: BSD-2-Clause
//! A fingerprint of several parts as one value: how a scope keeps it, and what the throttle's key is made of.

/// No text of VCL's has a NUL in it.
const SEPARATOR: u8 = 0;

/// The parts as one value; empty ones say nothing and are left out.
pub(crate) fn join(parts: &[&[u8]]) -> Vec<u8> {
    let said: Vec<_> = parts.iter().copied().filter(|part| !part.is_empty()).collect();
    said.join(&SEPARATOR)
}

/// The parts again.
pub(crate) fn parts(joined: &[u8]) -> impl Iterator<Item = &[u8]> {
    joined.split(|byte| *byte == SEPARATOR)
}

/// Whether one of the parts stands for what groups without a fingerprint.
pub fn includes_default(joined: &[u8]) -> bool {
    parts(joined).any(|part| {
        let name = part.trim_ascii().strip_prefix(b"{{").and_then(|part| part.strip_suffix(b"}}"));
        name.is_some_and(|name| name.trim_ascii() == b"default")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_come_back_without_the_empty_ones_and_are_not_the_same_as_one() {
        let joined = join(&[b"a", b"", b"b c", b""]);
        assert_eq!(parts(&joined).collect::<Vec<_>>(), [&b"a"[..], b"b c"]);
        assert_ne!(join(&[b"ab", b"c"]), join(&[b"a", b"bc"]));
        assert_eq!(join(&[b"a"]), b"a");
    }

    #[test]
    fn the_default_is_a_part_of_its_own_with_or_without_spaces() {
        for (parts, includes) in [
            (&[&b"{{ default }}"[..]][..], true),
            (&[b"a", b"{{default}}"], true),
            (&[b" {{  default}} ", b"a"], true),
            (&[b"a {{ default }}"], false),
            (&[b"{{ other }}"], false),
            (&[b"{{", b"default", b"}}"], false),
            (&[b"default"], false),
        ] {
            assert_eq!(includes_default(&join(parts)), includes, "{parts:?}");
        }
    }
}
