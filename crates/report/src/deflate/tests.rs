// SPDX-License-Identifier: BSD-2-Clause
use std::io::Read;

use flate2::Compression;
use flate2::read::{DeflateDecoder, DeflateEncoder};
use proptest::collection::vec;
use proptest::prelude::*;

use super::*;

/// What another's decoder makes of it, which says so if it is none.
fn unpacked(packed: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let mut decoder = DeflateDecoder::new(packed);
    decoder.read_to_end(&mut body).unwrap();
    assert_eq!(decoder.total_in(), packed.len() as u64, "ends where it says");
    body
}

/// The length of `body`, packed by `deflate`, from which it comes back.
fn packed(deflate: &mut Deflate, body: &[u8]) -> usize {
    // The longest code of a byte has not quite twice as many bits as that.
    let mut out = vec![0xa5; 2 * body.len() + 300];
    let length = deflate.compress(body, &mut out).unwrap();
    assert!(unpacked(&out[..length]) == body, "{} bytes came back as others", body.len());
    length
}

/// As long as zlib makes it, which takes its time.
fn zlib(body: &[u8]) -> usize {
    let mut packed = Vec::new();
    DeflateEncoder::new(body, Compression::new(6)).read_to_end(&mut packed).unwrap()
}

/// Bytes in which nothing comes twice.
fn noise(length: usize) -> Vec<u8> {
    let next = |state: &u64| Some(state.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1_442_695_040_888_963_407));
    std::iter::successors(Some(7_u64), next).map(|state| (state >> 56) as u8).take(length).collect()
}

/// The envelope of an event, more or less; each number's is another one.
fn event(number: u64) -> Vec<u8> {
    let id = format!("{:032x}", u128::from(number + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835));
    let status = 500 + number % 5;
    let (host, path) = (["www", "shop", "api"][number as usize % 3], number * 7919 % 100_000);
    format!(
        r#"{{"event_id":"{id}","sent_at":"2026-01-01T00:00:{:02}.123Z","sdk":{{"name":"sentry.varnish","version":"0.1.0"}}}}
{{"type":"event","length":1000,"content_type":"application/json"}}
{{"event_id":"{id}","timestamp":17672256{:02}.123456,"platform":"other","level":"error","logger":"varnish.vcl","server_name":"edge-1",
"environment":"production","logentry":{{"message":"backend b{} fetch failed: {status}"}},"tags":{{"cache":"miss","side":"backend","status":"{status}",
"vcl.name":"boot","vcl.sub":"vcl_backend_error"}},"request":{{"method":"GET","url":"https://{host}.example.com/item/{path}","headers":{{"Host":
"{host}.example.com","User-Agent":"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/126.0 Safari/537.36","Accept":
"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8","X-Request-Id":"{path:08x}-4f5a-9c0e","Accept-Encoding":"gzip, deflate, br"}}}},
"contexts":{{"response":{{"status_code":{status}}},"trace":{{"trace_id":"{id}"}},"varnish":{{"side":"backend","xid":{path},"vcl":"boot"}}}}}}"#,
        number % 60,
        number % 60,
        number % 9
    )
    .into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Pieces of all kinds, each a few times, at once and with others between them.
    #[test]
    fn whatever_the_bodies_are_they_come_back(
        bodies in vec(
            (
                vec(prop_oneof![vec(any::<u8>(), 0..40), vec(0_u8..2, 0..600), "[a-z\":,{}0-9]{0,80}".prop_map(String::into_bytes)], 1..12),
                vec((any::<prop::sample::Index>(), 1_usize..60), 0..60),
            ),
            1..6,
        )
    ) {
        let mut deflate = Deflate::default();
        for (pieces, order) in &bodies {
            let body: Vec<u8> = order.iter().flat_map(|(index, times)| index.get(pieces).repeat(*times)).collect();
            packed(&mut deflate, &body);
        }
    }
}

#[test]
fn matches_of_each_length_and_from_near_and_far_come_back() {
    let mut deflate = Deflate::default();
    let noise = noise(2 * WINDOW);
    for length in 0..=2 * LONGEST + 2 {
        packed(&mut deflate, &[&noise[..300], &noise[300 - length.min(300)..300], &noise[..length]].concat());
        packed(&mut deflate, &vec![b'a'; length]);
    }
    // The first bytes once more, so many behind themselves.
    for distance in
        (1..300).chain((8..15).flat_map(|log| (1 << log) - 2..=(1 << log) + 2)).chain(WINDOW - 40..WINDOW + 3)
    {
        let first = &noise[..distance.min(40)];
        packed(&mut deflate, &[&noise[..distance], first, first].concat());
    }
}

#[test]
fn a_body_of_many_blocks_comes_back() {
    let mut deflate = Deflate::default();
    let events: Vec<u8> = (0..400).flat_map(event).collect();
    for length in [0, 1, 3, 4, BLOCK - 1, BLOCK, BLOCK + 1, 2 * BLOCK, 2 * BLOCK + 3, events.len()] {
        packed(&mut deflate, &events[..length]);
    }
    packed(&mut deflate, &noise(5 * BLOCK));
    assert!(packed(&mut deflate, &events) < events.len() / 5);
}

#[test]
fn a_match_is_found_as_far_back_as_one_may_be() {
    let noise = noise(WINDOW + 1);
    for (distance, is_found) in [(WINDOW, true), (WINDOW + 1, false)] {
        let once = packed(&mut Deflate::default(), &noise[..distance]);
        let twice = packed(&mut Deflate::default(), &[&noise[..distance], &noise[..200]].concat());
        assert_eq!(twice < once + 150, is_found, "{distance}: {once}, {twice}");
    }
}

#[test]
fn codes_that_were_learnt_are_nearly_as_good_as_those_that_are_made_for_a_body() {
    let mut deflate = Deflate::default();
    let first = packed(&mut deflate, &event(0));
    for number in 1..50 {
        packed(&mut deflate, &event(number));
    }
    let (ours, theirs) = (packed(&mut deflate, &event(50)), zlib(&event(50)));
    assert!(ours * 100 <= theirs * 115, "{ours} bytes where zlib needs {theirs}");
    assert!(ours < first, "{ours} bytes, {first} before anything was learnt");

    // Others come instead, with other letters.
    let shouted = |number| event(number).to_ascii_uppercase();
    let before = packed(&mut deflate, &shouted(0));
    for number in 1..100 {
        packed(&mut deflate, &shouted(number));
    }
    let (ours, theirs) = (packed(&mut deflate, &shouted(100)), zlib(&shouted(100)));
    assert!(ours * 100 <= theirs * 115 && ours < before, "{ours} bytes where zlib needs {theirs}, {before} at first");
}

#[test]
fn without_room_there_is_nothing_but_what_was_learnt() {
    let mut deflate = Deflate::default();
    let mut out = vec![0; 4000];
    let length = deflate.compress(&event(1), &mut out).unwrap();
    for room in [0, 1, 7, 8, 100, length - 1] {
        assert_eq!(Deflate::default().compress(&event(1), &mut out[..room]), None, "{room}");
    }
    assert!(Deflate::default().compress(&event(1), &mut out[..length + 8]).is_some());
    (0..40).for_each(|number| assert_eq!(deflate.compress(&event(number), &mut out[..length / 2]), None));
    assert!(packed(&mut deflate, &event(1)) < length);
}
