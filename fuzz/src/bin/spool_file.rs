// SPDX-License-Identifier: BSD-2-Clause
//! The spool's files: of one that is not what was written, cut, changed or of another version, nothing is read; one that is, is read as
//! it was written, and its name says the same.
#![no_main]

use delivery::spool::{file, file_name};
use fuzz::bytes::Bytes;
use fuzz::spooled::{change, is_said, written};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (contents, mut name, mut bytes) = written(&mut input);
    assert_eq!(file::decode(&bytes).as_ref(), Ok(&contents));
    assert_eq!(file_name::parse(&name), Some((contents.key, bytes.len() as u64, contents.parts)));
    while !input.is_empty() {
        if input.byte() % 4 > 0 {
            change(&mut bytes, &mut input);
        } else {
            let mut changed = name.into_bytes();
            change(&mut changed, &mut input);
            name = String::from_utf8_lossy(&changed).into_owned();
        }
        if let Ok(contents) = file::decode(&bytes) {
            is_said(&contents, &bytes);
        }
        if let Some((key, length, parts)) = file_name::parse(&name) {
            let again = file_name::FileName { key, length, parts: &parts };
            assert_eq!(again.to_string(), name);
        }
    }
});
