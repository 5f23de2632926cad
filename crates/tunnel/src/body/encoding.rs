// SPDX-License-Identifier: BSD-2-Clause
//! Content encodings, undone. What comes out is counted while it comes: a small body may stand for gigabytes.

use std::io::Read;

use brotli_decompressor::{BrotliDecompressStream, BrotliResult, BrotliState, StandardAlloc};
use flate2::bufread::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use ruzstd::decoding::StreamingDecoder;

/// The window that a sender of zstd may count on, and no larger one (RFC 9659).
const ZSTD_WINDOW: u64 = 8 << 20;

/// How a body is packed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Encoding {
    Identity,
    Gzip,
    /// In zlib's wrapping, as HTTP means it, or without, as some take it.
    Deflate,
    Brotli,
    Zstd,
}

/// What came of unpacking.
#[derive(Debug, PartialEq, Eq)]
pub enum Unpacked {
    Whole(Vec<u8>),
    /// There is more in it than may be.
    TooLarge,
    /// It is not what it says.
    Broken,
}

impl Encoding {
    /// The encoding in a `Content-Encoding`; `None` for those that are not known, and for several.
    pub fn of(value: Option<&[u8]>) -> Option<Encoding> {
        let value = value.unwrap_or_default().trim_ascii();
        let is = |name: &str| value.eq_ignore_ascii_case(name.as_bytes());
        match () {
            () if value.is_empty() || is("identity") => Some(Encoding::Identity),
            () if is("gzip") || is("x-gzip") => Some(Encoding::Gzip),
            () if is("deflate") => Some(Encoding::Deflate),
            () if is("br") => Some(Encoding::Brotli),
            () if is("zstd") => Some(Encoding::Zstd),
            () => None,
        }
    }

    /// Unpacks a body into at most so many bytes.
    pub fn unpack(self, body: Vec<u8>, most: usize) -> Unpacked {
        match self {
            Encoding::Identity if body.len() > most => Unpacked::TooLarge,
            Encoding::Identity => Unpacked::Whole(body),
            Encoding::Gzip => unpack_gzip(&body, most),
            Encoding::Deflate if is_zlib(&body) => unpack_zlib(&body, most),
            Encoding::Deflate => unpack_deflate(&body, most),
            Encoding::Brotli => unpack_brotli(&body, most),
            Encoding::Zstd => unpack_zstd(&body, most),
        }
    }
}

// A decoder takes kilobytes of a stack that is small: none of them lies in a frame that is there without it.

#[inline(never)]
fn unpack_gzip(packed: &[u8], most: usize) -> Unpacked {
    read(&mut MultiGzDecoder::new(packed), packed.len(), most)
}

#[inline(never)]
fn unpack_deflate(packed: &[u8], most: usize) -> Unpacked {
    read(&mut DeflateDecoder::new(packed), packed.len(), most)
}

/// A decoder for HTTP's format: the crate's own reader takes another one, too, in which a window may be a gigabyte.
#[inline(never)]
fn brotli_state() -> BrotliState<StandardAlloc, StandardAlloc, StandardAlloc> {
    let alloc = StandardAlloc::default();
    BrotliState::new_strict(alloc, alloc, alloc)
}

#[inline(never)]
fn unpack_brotli(packed: &[u8], most: usize) -> Unpacked {
    let mut state = Box::new(brotli_state());
    let (mut left, mut place) = (packed.len(), 0);
    let (mut written, mut total) = (0, 0);
    let mut out = vec![0; first_guess(packed.len(), most)];
    loop {
        let mut room = out.len() - written;
        match BrotliDecompressStream(
            &mut left,
            &mut place,
            packed,
            &mut room,
            &mut written,
            &mut out,
            &mut total,
            &mut state,
        ) {
            BrotliResult::NeedsMoreOutput if out.len() > most => return Unpacked::TooLarge,
            BrotliResult::NeedsMoreOutput => out.resize((out.len() * 2).min(most + 1), 0),
            BrotliResult::ResultSuccess if written > most => return Unpacked::TooLarge,
            BrotliResult::ResultSuccess => {
                out.truncate(written);
                return Unpacked::Whole(out);
            }
            BrotliResult::NeedsMoreInput | BrotliResult::ResultFailure => return Unpacked::Broken,
        }
    }
}

#[inline(never)]
fn unpack_zstd(packed: &[u8], most: usize) -> Unpacked {
    match StreamingDecoder::new_with_max_window_size(packed, ZSTD_WINDOW) {
        Ok(mut decoder) => read(&mut decoder, packed.len(), most),
        Err(_) => Unpacked::Broken,
    }
}

/// Unpacks what is in zlib's wrapping.
#[inline(never)]
pub fn unpack_zlib(packed: &[u8], most: usize) -> Unpacked {
    read(&mut ZlibDecoder::new(packed), packed.len(), most)
}

/// Whether it begins as zlib's wrapping does (RFC 1950).
fn is_zlib(packed: &[u8]) -> bool {
    matches!(packed, [method, flags, ..] if method & 15 == 8 && (u16::from(*method) << 8 | u16::from(*flags)).is_multiple_of(31))
}

/// Room for what comes out, until it shows that more does.
fn first_guess(packed: usize, most: usize) -> usize {
    packed.saturating_mul(4).min(most) + 1
}

fn read(decoder: &mut dyn Read, packed: usize, most: usize) -> Unpacked {
    let mut out = Vec::with_capacity(first_guess(packed, most));
    match decoder.take(most as u64 + 1).read_to_end(&mut out) {
        Ok(_) if out.len() > most => Unpacked::TooLarge,
        Ok(_) => Unpacked::Whole(out),
        Err(_) => Unpacked::Broken,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::thread;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use proptest::prelude::*;

    use super::*;

    fn gzip(text: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(text: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(text: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    fn zstd(text: &[u8]) -> Vec<u8> {
        ruzstd::encoding::compress_to_vec(text, ruzstd::encoding::CompressionLevel::Fastest)
    }

    /// `hello hello hello hello\n`, by the reference encoder.
    const BROTLI: &[u8] = &[
        0x1b, 0x17, 0x00, 0xf8, 0x8d, 0x94, 0x6e, 0xde, 0x44, 0x55, 0x86, 0xd6, 0x0a, 0x20, 0x6c, 0x6f, 0x4a, 0x11,
        0x79, 0xe2, 0x80, 0xae, 0x16,
    ];

    /// 64 MB of zeros.
    const BROTLI_BOMB: &str = "cbffff3ff82700e2b14020f7fe8fffff7ff04f00c4611180eefd1fffffffe09f0088c30200ddfb3ffeffffc13f0110870500baf77ffcffff837f02200e0b0074effff8ffff07ff04401c1600e8defff1ffff0ffe0980382c00d0bdffe3ffff1ffc1300715800a07bff37";

    #[test]
    fn each_encoding_is_undone() {
        let text = b"hello hello hello hello\n";
        for (name, packed) in [
            ("", text.to_vec()),
            ("identity", text.to_vec()),
            ("gzip", gzip(text)),
            (" X-GZip ", [gzip(&text[..7]), gzip(&text[7..])].concat()),
            ("deflate", zlib(text)),
            ("deflate", deflate(text)),
            ("br", BROTLI.to_vec()),
            ("zstd", zstd(text)),
        ] {
            let encoding = Encoding::of(Some(name.as_bytes())).unwrap();
            assert_eq!(encoding.unpack(packed.clone(), 24), Unpacked::Whole(text.to_vec()), "{name}");
            assert_eq!(encoding.unpack(packed.clone(), 23), Unpacked::TooLarge, "{name}");
            if encoding != Encoding::Identity {
                assert_eq!(encoding.unpack(packed[..packed.len() - 1].to_vec(), 24), Unpacked::Broken, "{name}, cut");
                assert_eq!(
                    encoding.unpack(b"{}\n{\"type\":\"event\"}\n".to_vec(), 24),
                    Unpacked::Broken,
                    "{name}, not packed"
                );
            }
        }
        for unknown in ["compress", "gzip, gzip", "gzip,br", "*"] {
            assert_eq!(Encoding::of(Some(unknown.as_bytes())), None, "{unknown}");
        }
        assert_eq!(Encoding::of(None), Some(Encoding::Identity));
    }

    #[test]
    fn a_window_of_another_format_is_refused() {
        // Eight bits that announce a large window, of 2^30 bytes, and an empty last block.
        assert_eq!(Encoding::Brotli.unpack(vec![0x11, 0x1e, 0x03], 100), Unpacked::Broken);
        assert_eq!(Encoding::Brotli.unpack(vec![0x3b], 100), Unpacked::Whole(Vec::new()));
    }

    #[test]
    fn a_bomb_costs_no_more_than_what_may_be() {
        let zeros = vec![0; 8 << 20];
        let brotli: Vec<_> = (0..BROTLI_BOMB.len())
            .step_by(2)
            .map(|at| u8::from_str_radix(&BROTLI_BOMB[at..at + 2], 16).unwrap())
            .collect();
        let all = [
            (Encoding::Gzip, gzip(&zeros)),
            (Encoding::Deflate, zlib(&zeros)),
            (Encoding::Brotli, brotli),
            (Encoding::Zstd, zstd(&zeros)),
        ];
        drop(zeros);
        for (encoding, packed) in all {
            assert!(packed.len() < 1 << 20, "{encoding:?}");
            assert_eq!(encoding.unpack(packed, 1 << 20), Unpacked::TooLarge, "{encoding:?}");
        }
    }

    #[test]
    fn a_window_that_nobody_needs_is_refused() {
        // A frame with a window of 64 MB.
        let frame = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 16 << 3, 0x01, 0x00, 0x00];
        assert_eq!(Encoding::Zstd.unpack(frame.to_vec(), 1 << 20), Unpacked::Broken);
    }

    #[test]
    fn a_workers_stack_is_enough() {
        let text = b"hello hello hello hello\n".repeat(1000);
        let all = [
            (Encoding::Gzip, gzip(&text)),
            (Encoding::Deflate, zlib(&text)),
            (Encoding::Brotli, BROTLI.to_vec()),
            (Encoding::Zstd, zstd(&text)),
        ];
        let work = move || all.map(|(encoding, packed)| matches!(encoding.unpack(packed, 1 << 20), Unpacked::Whole(_)));
        // What is not optimized takes several times as much.
        let stack = if cfg!(debug_assertions) { 128 << 10 } else { 32 << 10 };
        let thread = thread::Builder::new().stack_size(stack).spawn(work).unwrap();
        assert_eq!(thread.join().unwrap(), [true; 4]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_unpacked_into_no_more_than_may_be(body: Vec<u8>, text: Vec<u8>, most in 0..300_usize) {
            for (encoding, packed) in [
                (Encoding::Gzip, gzip(&text)),
                (Encoding::Deflate, zlib(&text)),
                (Encoding::Deflate, deflate(&text)),
                (Encoding::Zstd, zstd(&text)),
                (Encoding::Brotli, body.clone()),
            ] {
                let whole = encoding.unpack(packed, most);
                if encoding != Encoding::Brotli {
                    prop_assert_eq!(whole, if text.len() > most { Unpacked::TooLarge } else { Unpacked::Whole(text.clone()) });
                }
                if let Unpacked::Whole(out) = encoding.unpack(body.clone(), most) {
                    prop_assert!(out.len() <= most);
                }
            }
        }
    }
}
