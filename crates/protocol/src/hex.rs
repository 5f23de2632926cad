// SPDX-License-Identifier: BSD-2-Clause
//! Ids as hex digits, which are lower case wherever Sentry and the W3C write them.

/// Writes the digits of `bytes` into `out`, as many as it takes.
pub fn write(bytes: &[u8], out: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (pair, byte) in out.chunks_exact_mut(2).zip(bytes) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

/// The bytes that `digits` stand for; `None` if they are not lower case, or not `2 * N` of them.
pub fn read<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let mut pairs = digits.chunks_exact(2);
    for byte in &mut bytes {
        let [high, low] = pairs.next()? else { return None };
        *byte = digit(*high)? << 4 | digit(*low)?;
    }
    (digits.len() == 2 * N).then_some(bytes)
}

fn digit(byte: u8) -> Option<u8> {
    match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read_and_nothing_else() {
        let mut out = [0; 8];
        write(&[0x00, 0x9a, 0xbf, 0xff], &mut out);
        assert_eq!(&out, b"009abfff");
        assert_eq!(read(&out), Some([0x00, 0x9a, 0xbf, 0xff]));
        for digits in [&b"009abff"[..], b"009abfff0", b"009abfff00", b"009ABFFF", b"009abffg", b""] {
            assert_eq!(read::<4>(digits), None);
        }
    }
}
