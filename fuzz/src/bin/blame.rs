// SPDX-License-Identifier: BSD-2-Clause
//! Who is to blame for a fetch that failed: no name and no explanation in the server's texts moves the blame, nothing that a client does is the backend's doing, and a text that nobody
//! knows is nobody's.
#![no_main]

use denylist::{Blame, Evidence, Fault, Upload, blame, blame_response};
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;

/// What the server says, or begins to say.
const TEXTS: [&str; 24] = [
    "backend write error: 32 (Broken pipe) (Client Closed)",
    "backend write error: 104 (Connection reset by peer)",
    "backend write error: ",
    "Had failed reading req.body before.",
    "req.body read error: 0 (Success)",
    "req.body read error: ",
    "backend b: fail errno 111 (Connection refused)",
    "backend b: busy",
    "backend b: proxy write errno 32 (Broken pipe)",
    "backend ",
    "Director d returned no backend",
    "Director ",
    "Fetch filter f failed to open",
    "Fetch filter f returned 1",
    "Filter f not found",
    "straight insufficient bytes",
    "Resource temporarily unavailable",
    "overflow",
    "Workspace overflow",
    "HTC eof (-1)",
    "HTC ",
    "first byte timeout",
    "Gzip failed",
    "http format error",
];
/// What says it together with the text before it, beside what is said of uploads.
const TAKES_TWO: [&str; 5] =
    ["overflow", "straight insufficient bytes", "chunked insufficient bytes", "chunked read err", "eof socket fail"];
const VCL_ERRORS: [&str; 3] =
    ["Uncached req.body can only be consumed once.", "Multiple attempts to access non-cached req.body", "other"];
const UPLOADS: [Upload; 5] = [Upload::None, Upload::Sent, Upload::ClientFailed, Upload::CacheFailed, Upload::Broken];
/// Of connections that did not come to be, and writes that failed: known ones and others.
const ERRNOS: [u32; 16] = [0, 1, 2, 11, 12, 13, 24, 32, 97, 101, 104, 110, 111, 113, 999, u32::MAX];
/// What VCL may call a backend, and systems an errno.
const NAME: &str = "aZ09_.-()";
const EXPLANATION: &str = "aZ \u{e4}\u{20ac}'-";

fn text(input: &mut Bytes<'_>) -> Option<String> {
    match input.byte() % 8 {
        0 => None,
        1 => Some(String::from_utf8_lossy(&input.text()).into_owned()),
        2 => {
            let begin = input.pick(&TEXTS);
            Some(begin.to_owned() + &String::from_utf8_lossy(&input.text()))
        }
        _ => Some(input.pick(&TEXTS).to_owned()),
    }
}

fn connection(name: &str, errno: u32, explanation: &str) -> String {
    format!("backend {name}: fail errno {errno} ({explanation})")
}

fn write(errno: u32, explanation: &str, end: &str) -> String {
    format!("backend write error: {errno} ({explanation}){end}")
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let (upload, reused, vcl_error) = (input.pick(&UPLOADS), input.flag(), input.byte());
    let vcl_error = VCL_ERRORS.get(usize::from(vcl_error)).copied();
    let owned: [Option<String>; 3] = std::array::from_fn(|_| text(&mut input));
    let texts = owned.each_ref().map(Option::as_deref);
    let evidence = Evidence { texts, vcl_error, upload, reused };
    let found = blame(&evidence);
    let with = |text: &str| blame(&Evidence { texts: [Some(text), texts[1], texts[2]], ..evidence });

    let is_about_upload = |text: &str| {
        ["backend write error: ", "req.body read error: "].iter().any(|begin| text.starts_with(begin))
            || text == "Had failed reading req.body before."
    };
    let has_client_failed = [Upload::ClientFailed, Upload::CacheFailed].contains(&upload);
    if texts[0].is_none_or(is_about_upload) && has_client_failed {
        assert_eq!(found, Blame::Elsewhere);
    }
    if found == Blame::Backend(Fault::Upload) {
        // There was one, and something was said of how it ended.
        let is_read = |text: Option<&str>| text.is_some_and(|text| text.starts_with("req.body read error: "));
        assert!(texts[0].is_some_and(is_about_upload) && !has_client_failed);
        assert!([Upload::Sent, Upload::Broken].contains(&upload) || is_read(texts[1]));
    }
    if texts[0].is_none() {
        assert!(!matches!(found, Blame::Backend(_)));
    }
    // What is said of the connection before does not matter where the last text says it alone.
    let takes_two = |text: &str| is_about_upload(text) || TAKES_TWO.contains(&text);
    if !texts[0].is_some_and(takes_two) {
        let alone = Evidence { texts: [texts[0], None, None], vcl_error: None, reused: false, upload };
        assert_eq!(blame(&alone), found);
    }

    // Names and explanations.
    let (errno, name, explanation) = (input.pick(&ERRNOS), input.word(NAME, 12), input.word(EXPLANATION, 12));
    assert_eq!(with(&connection(&name, errno, &explanation)), with(&connection("b", errno, "")));
    for verb in ["busy", "unhealthy"] {
        assert_eq!(with(&format!("backend {name}: {verb}")), Blame::Elsewhere);
    }
    assert_eq!(with(&format!("Director {name} returned no backend")), Blame::Elsewhere);
    for end in ["", " (Client Closed)", " (Peer Closed)"] {
        assert_eq!(with(&write(errno, &explanation, end)), with(&write(errno, "x", end)));
    }

    // What a client may write into a text, and what is none.
    let rest = String::from_utf8_lossy(input.0);
    assert_eq!(blame_response(&format!("Invalid range header ({rest}")), Some(Blame::Elsewhere));
    assert_eq!(with(&format!("z{rest}")), Blame::Unknown);
    assert_eq!(blame_response(&format!("z{rest}")), None);
});
