// SPDX-License-Identifier: BSD-2-Clause
//! Addresses in texts: of a machine's, in any notation and whatever stands around it, no more is left than its network, and what is no address is left alone.
#![no_main]

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use fuzz::body::has;
use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use privacy::address::{anonymous, anonymous_text};

/// What may stand around an address and ends it.
const ENDS: &str = " ,;[]\"'=()<>\u{e4}%/";
/// What may stand anywhere else: no digit of what tells a machine.
const NOISE: &str = "0289acfx.:, []\"=;%/-";

/// An address of a machine that is called 177, or dead, or both.
fn address(input: &mut Bytes<'_>) -> IpAddr {
    let [one, two, three] = input.array::<3>().map(|byte| byte % 170);
    let four = Ipv4Addr::new(one, two, three, 177);
    match input.byte() % 4 {
        0 => four.into(),
        1 => four.to_ipv6_mapped().into(),
        _ => {
            let mut groups = [one, two, three].map(u16::from).into_iter().chain([0; 5]).collect::<Vec<_>>();
            groups[3 + usize::from(input.byte()) % 5] = 0xdead;
            let groups: [u16; 8] = groups.try_into().unwrap();
            Ipv6Addr::from(groups).into()
        }
    }
}

/// The same in one of the ways to write it.
fn written(input: &mut Bytes<'_>, address: IpAddr) -> String {
    let text = match (input.byte() % 3, address) {
        (0, IpAddr::V6(six)) => six.segments().map(|group| format!("{group:04x}")).join(":"),
        (1, _) => address.to_string().to_ascii_uppercase(),
        _ => address.to_string(),
    };
    match (input.byte() % 4, address) {
        (0, IpAddr::V4(_)) => format!("{text}:8080"),
        (0, _) => format!("[{text}]:8080"),
        (1, _) => format!("{text}%eth0"),
        _ => text,
    }
}

fn character(input: &mut Bytes<'_>, of: &str) -> char {
    let all: Vec<char> = of.chars().collect();
    input.pick(&all)
}

/// Whether `text`, which is an address, names no machine.
fn is_network(text: &str) -> bool {
    text.parse().is_ok_and(|address| anonymous(address) == address)
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let any = anonymous_text(input.0);
    assert_eq!(anonymous_text(&any), any, "once is enough");

    let mut text = String::new();
    while !input.is_empty() {
        let address = address(&mut input);
        let network = anonymous(address);
        assert!(is_network(&network.to_string()) && network.is_ipv4() == address.is_ipv4());
        text.push(character(&mut input, ENDS));
        text.push_str(&written(&mut input, address));
        text.push(character(&mut input, ENDS));
        text.push_str(&input.word(NOISE, 12));
    }
    let shown = anonymous_text(text.as_bytes());
    let shown = str::from_utf8(&shown).expect("a text of a text");
    assert!(!has(shown.as_bytes(), "177"), "{shown} of {text}");
    assert!(!has(shown.to_ascii_lowercase().as_bytes(), "dead"), "{shown} of {text}");
    // What cannot be in an address is where it was.
    let others = |text: &str| -> String {
        text.replace("[Filtered]", "").chars().filter(|c| !c.is_ascii_hexdigit() && !".:".contains(*c)).collect()
    };
    assert_eq!(others(shown), others(&text));
});
