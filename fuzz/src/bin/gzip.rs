// SPDX-License-Identifier: BSD-2-Clause
//! Compression: whatever bodies came before, what is sent of one is the body again for another's decoder, and shorter.
#![no_main]

use std::io::Read;

use flate2::bufread::GzDecoder;
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use report::gzip::Gzip;

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (mut gzip, mut out) = (Gzip::default(), Vec::new());
    while !input.is_empty() {
        // Some texts, each of which may be one over and over, and the first ones again behind them.
        let texts: Vec<_> = (0..input.byte() % 8).map(|_| input.text()).collect();
        let again = usize::from(u16::from_le_bytes(input.array()));
        let body: Vec<u8> = texts.iter().flatten().chain(texts.iter().flatten().take(again)).copied().collect();
        if !gzip.compress(&body, &mut out) {
            continue;
        }
        assert!(out.len() < body.len());
        let mut decoder = GzDecoder::new(&*out);
        let mut unpacked = Vec::new();
        decoder.read_to_end(&mut unpacked).expect("gzip, and its checksum");
        assert!(unpacked == body && decoder.into_inner().is_empty());
    }
});
