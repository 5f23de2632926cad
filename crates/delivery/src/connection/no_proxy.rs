// SPDX-License-Identifier: BSD-2-Clause
//! The list of servers that are reached without the environment's proxy, `NO_PROXY`. No standard says what may stand in it;
//! this reads what curl and Go's `net/http` read, and the manual says which of them where they differ.

use std::net::IpAddr;

/// Whether the list has the server.
pub(crate) fn is_exempt(list: &str, host: &str, port: u16) -> bool {
    let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
    let address = address(host);
    let entries = list.split(|c: char| c == ',' || c.is_whitespace()).filter(|entry| !entry.is_empty());
    entries.filter_map(|entry| name_of(entry, port)).any(|name| match address {
        _ if name == "*" => true,
        Some(address) => is_in(address, name),
        None => is_below(host, name),
    })
}

/// What an entry is about, if it is about that port: one of others has it behind a colon, and an IPv6 address in brackets before it.
fn name_of(entry: &str, port: u16) -> Option<&str> {
    let (name, rest) = match entry.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        // A network's length may stand in the brackets or behind them.
        Some((_, rest)) if rest.starts_with('/') => (entry, ""),
        Some(split) => split,
        None if entry.matches(':').count() == 1 => entry.split_at(entry.find(':')?),
        None => (entry, ""),
    };
    let is_about = match rest.strip_prefix(':') {
        Some("") => true,
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_digit()) && digits.parse() == Ok(port),
        None => rest.is_empty(),
    };
    is_about.then_some(name)
}

/// Whether a host's name is `domain`, or ends with it after a dot. A dot at the end says no more than that a name is complete; a dot or an
/// asterisk at the beginning, that there is more before it.
fn is_below(host: &str, domain: &str) -> bool {
    let host = host.strip_suffix('.').unwrap_or(host);
    let domain = domain.strip_suffix('.').unwrap_or(domain);
    let domain = domain.strip_prefix('*').unwrap_or(domain).trim_start_matches('.');
    let Some(at) = host.len().checked_sub(domain.len()) else { return false };
    let ends = host.get(at..).is_some_and(|end| !domain.is_empty() && end.eq_ignore_ascii_case(domain));
    ends && host.get(..at).is_some_and(|before| before.is_empty() || before.ends_with('.'))
}

/// Whether the address is that of `network`, or in it: `10.0.0.0/8`, whatever bits are set behind the eighth.
fn is_in(address: IpAddr, network: &str) -> bool {
    let (base, length) = network.split_once('/').map_or((network, None), |(base, length)| (base, Some(length)));
    let base = base.strip_prefix('[').and_then(|base| base.strip_suffix(']')).unwrap_or(base);
    let Some(length) = length else { return self::address(base) == Some(address) };
    let is_number = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    let Some(length) = length.parse::<u32>().ok().filter(|_| is_number) else { return false };
    let Some(base) = without_zone(base).parse().ok() else { return false };
    // The network of IPv4 addresses in IPv6.
    let (base, length) = match base {
        IpAddr::V6(inner) if inner.to_ipv4_mapped().is_some() && length >= 96 => (base.to_canonical(), length - 96),
        other => (other, length),
    };
    let differs = match (address, base) {
        (IpAddr::V4(address), IpAddr::V4(base)) if length <= 32 => {
            (address.to_bits() ^ base.to_bits()).checked_shr(32 - length).unwrap_or(0) != 0
        }
        (IpAddr::V6(address), IpAddr::V6(base)) if length <= 128 => {
            (address.to_bits() ^ base.to_bits()).checked_shr(128 - length).unwrap_or(0) != 0
        }
        _ => true,
    };
    !differs
}

/// An address, however it is spelled: one of IPv4 may be one of IPv6.
fn address(text: &str) -> Option<IpAddr> {
    without_zone(text).parse().ok().map(|address: IpAddr| address.to_canonical())
}

/// A DSN's host has none, and what stands there is one of this machine's links.
fn without_zone(text: &str) -> &str {
    text.split_once('%').map_or(text, |(address, _)| address)
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, Ipv6Addr};

    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_list_is_read_as_curl_and_go_read_it() {
        for (list, host, exempt) in [
            ("*", "h", true),
            ("*", "10.0.0.1", true),
            ("a, *", "h", true),
            ("*,a", "::1", true),
            ("**", "h", false),
            // By whole labels, whatever the case.
            ("example.com", "example.com", true),
            ("Example.COM", "a.exAmple.com", true),
            ("example.com", "a.b.example.com", true),
            ("example.com", "badexample.com", false),
            ("example.com", "example.com.org", false),
            ("a.example.com", "example.com", false),
            ("com", "example.com", true),
            // A dot or an asterisk before it.
            (".example.com", "a.example.com", true),
            (".example.com", "example.com", true),
            ("*.example.com", "a.example.com", true),
            ("*.example.com", "example.com", true),
            ("*.example.com", "badexample.com", false),
            // A dot behind it, on either side.
            ("example.com.", "a.example.com", true),
            ("example.com", "a.example.com.", true),
            ("example.com.", "example.com.", true),
            ("example.com..", "example.com", false),
            // Separators.
            ("a,example.com,b", "example.com", true),
            ("a example.com\tb", "example.com", true),
            (" , ,\n example.com , ", "example.com", true),
            (" , ,", "h", false),
            ("", "h", false),
            (".", "h", false),
            ("..", "h.", false),
            ("*.", "h", false),
            ("]", "h", false),
            ("[", "h", false),
            ("[]", "h", false),
            (":", "h", false),
            // Addresses, in any spelling, and no parts of them.
            ("10.0.0.1", "10.0.0.1", true),
            ("0.0.1", "10.0.0.1", false),
            ("1", "10.0.0.1", false),
            (".0.0.1", "10.0.0.1", false),
            ("::1", "[::1]", true),
            ("[::1]", "[::1]", true),
            ("0:0:0:0:0:0:0:1", "[::1]", true),
            ("2001:DB8::0001", "[2001:db8:0:0::1]", true),
            ("2001:db8::1", "[2001:db8::2]", false),
            ("fe80::1%eth0", "[fe80::1]", true),
            ("[fe80::1%25eth0]", "[fe80::1]", true),
            ("::ffff:10.0.0.1", "10.0.0.1", true),
            ("10.0.0.1", "[::ffff:a00:1]", true),
            ("10.0.0.1", "h", false),
            // Networks.
            ("10.0.0.0/8", "10.255.0.1", true),
            ("10.1.2.3/8", "10.255.0.1", true),
            ("10.0.0.0/8", "11.0.0.1", false),
            ("10.0.0.0/31", "10.0.0.1", true),
            ("10.0.0.0/32", "10.0.0.1", false),
            ("10.0.0.1/32", "10.0.0.1", true),
            ("0.0.0.0/0", "192.0.2.1", true),
            ("0.0.0.0/0", "[2001:db8::1]", false),
            ("::/0", "[2001:db8::1]", true),
            ("::/0", "192.0.2.1", false),
            ("fd00::/8", "[fdff::1]", true),
            ("[fd00::]/8", "[fdff::1]", true),
            ("[fd00::/8]", "[fdff::1]", true),
            ("fd00::/8", "[fe80::1]", false),
            ("fe80::%eth0/10", "[fe80::1]", true),
            ("::ffff:10.0.0.0/104", "10.1.2.3", true),
            ("10.0.0.0/8", "[::ffff:10.1.2.3]", true),
            ("10.0.0.0/33", "10.0.0.0", false),
            ("fd00::/129", "[fd00::]", false),
            ("10.0.0.0/", "10.0.0.0", false),
            ("10.0.0.0/+8", "10.0.0.0", false),
            ("10.0.0.0/8/8", "10.0.0.0", false),
            ("10.0.0/8", "10.0.0.0", false),
            ("10.0.0.0/8", "a.example.com", false),
        ] {
            assert_eq!(is_exempt(list, host, 443), exempt, "{list:?} {host}");
        }
    }

    #[test]
    fn an_entry_with_a_port_is_about_that_one_only() {
        for (list, host, exempt) in [
            ("example.com:443", "a.example.com", true),
            ("example.com:0443", "a.example.com", true),
            ("example.com:80", "example.com", false),
            ("example.com:80, example.com:443", "example.com", true),
            ("example.com:", "example.com", true),
            ("example.com:https", "example.com", false),
            ("example.com:+443", "example.com", false),
            ("example.com:99999", "example.com", false),
            ("*:443", "h", true),
            ("*:80", "h", false),
            ("10.0.0.1:443", "10.0.0.1", true),
            ("10.0.0.1:80", "10.0.0.1", false),
            ("10.0.0.0/8:443", "10.0.0.1", true),
            ("10.0.0.0/8:80", "10.0.0.1", false),
            ("[::1]:443", "[::1]", true),
            ("[::1]:80", "[::1]", false),
            ("[::1]443", "[::1]", false),
            // An address.
            ("::1:443", "[::1]", false),
            ("::1:443", "[::1:443]", true),
        ] {
            assert_eq!(is_exempt(list, host, 443), exempt, "{list:?} {host}");
        }
    }

    /// Ways to write an address.
    fn spellings(address: IpAddr) -> Vec<String> {
        match address {
            IpAddr::V4(four) => {
                let six = four.to_ipv6_mapped();
                vec![four.to_string(), six.to_string(), format!("[{six}]"), format!("[{}]", long(six))]
            }
            IpAddr::V6(six) => {
                let upper = six.to_string().to_uppercase();
                vec![
                    six.to_string(),
                    upper,
                    format!("[{six}]"),
                    long(six),
                    format!("{six}%eth0"),
                    format!("[{six}%25eth0]"),
                ]
            }
        }
    }

    fn long(address: Ipv6Addr) -> String {
        address.segments().map(|group| format!("{group:04x}")).join(":")
    }

    fn addresses() -> impl Strategy<Value = IpAddr> {
        prop_oneof![
            any::<u32>().prop_map(|bits| IpAddr::V4(Ipv4Addr::from_bits(bits))),
            any::<u128>().prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits)).to_canonical()),
            (0_u128..3).prop_map(|bits| IpAddr::V6(Ipv6Addr::from_bits(bits))),
        ]
    }

    proptest! {
        #[test]
        fn any_text_is_survived(list in "([a-z0-9.:*/%, \\[\\]-]|\\PC){0,40}", host in "\\PC{0,20}", port: u16) {
            is_exempt(&list, &host, port);
            let with_all = format!("{list},*");
            prop_assert!(is_exempt(&with_all, &host, port));
        }

        #[test]
        fn what_matches_by_one_spelling_matches_by_another(
            address in addresses(),
            other in addresses(),
            length in 0_u32..=128,
            port in 1_u16..,
        ) {
            let expected = is_exempt(&other.to_string(), &address.to_string(), port);
            prop_assert_eq!(expected, address == other);
            let length = if other.is_ipv4() { length % 33 } else { length };
            let in_network = is_exempt(&format!("{other}/{length}"), &address.to_string(), port);
            for host in spellings(address) {
                for entry in spellings(other) {
                    prop_assert_eq!(is_exempt(&entry, &host, port), expected, "{} {}", entry, host);
                    prop_assert_eq!(is_exempt(&format!(" x,{entry} y"), &host, port), expected);
                    let bracketed = format!("[{}]", entry.trim_matches(['[', ']']));
                    if other.is_ipv6() || entry.contains('[') {
                        prop_assert_eq!(is_exempt(&format!("{bracketed}:{port}"), &host, port), expected);
                        let other_port = format!("{bracketed}:{}", port - 1);
                        prop_assert!(!is_exempt(&other_port, &host, port));
                    }
                    if !entry.contains('%') {
                        let length = if other.is_ipv4() && entry.contains(':') { length + 96 } else { length };
                        prop_assert_eq!(is_exempt(&format!("{entry}/{length}"), &host, port), in_network, "{} {}", entry, host);
                    }
                }
            }
        }

        #[test]
        fn a_network_has_the_addresses_with_its_first_bits(bits: u128, flipped in 0_u32..128, length in 0_u32..=128) {
            let address = Ipv6Addr::from_bits(bits);
            let other = Ipv6Addr::from_bits(bits ^ (1 << (127 - flipped)));
            prop_assume!(address.to_ipv4_mapped().is_none() && other.to_ipv4_mapped().is_none());
            prop_assert_eq!(is_exempt(&format!("{address}/{length}"), &format!("[{other}]"), 443), flipped >= length);
        }
    }
}
