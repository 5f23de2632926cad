// SPDX-License-Identifier: BSD-2-Clause
//! IP addresses without the part that tells one machine from its neighbours: IPv4 without its last octet,
//! IPv6 cut to its /48, as the field does it.

use std::borrow::Cow;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// `address` with zeros in place of that part.
pub fn anonymous(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(address) => network(address).into(),
        // Many servers on a dual stack see IPv4 clients like this.
        IpAddr::V6(address) => match address.to_ipv4_mapped() {
            Some(address) => network(address).to_ipv6_mapped().into(),
            None => Ipv6Addr::from_bits(address.to_bits() & u128::MAX << 80).into(),
        },
    }
}

fn network(address: Ipv4Addr) -> Ipv4Addr {
    Ipv4Addr::from_bits(address.to_bits() & u32::MAX << 8)
}

/// `text` with each address in it made anonymous. What only looks like one goes.
pub fn anonymous_text(text: &[u8]) -> Cow<'_, [u8]> {
    let mut out = Vec::new();
    let mut copied = 0;
    let mut at = 0;
    while let Some(found) = text.get(at..).and_then(|rest| rest.iter().position(is_part)) {
        let start = at + found;
        let rest = text.get(start..).unwrap_or_default();
        let word = rest.split(|byte| !is_part(byte)).next().unwrap_or_default();
        at = start + word.len();
        if let Some(anonymous) = anonymous_word(word) {
            out.extend_from_slice(text.get(copied..start).unwrap_or_default());
            out.extend_from_slice(anonymous.as_bytes());
            copied = at;
        }
    }
    if copied == 0 {
        return Cow::Borrowed(text);
    }
    out.extend_from_slice(text.get(copied..).unwrap_or_default());
    Cow::Owned(out)
}

/// The addresses in `text`, without their ports.
pub(crate) fn addresses(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|byte| !is_part(byte)).filter_map(|word| {
        let count = |wanted: u8| word.iter().filter(|byte| **byte == wanted).count();
        let dots = count(b'.');
        if dots != 3 && count(b':') < 2 {
            return None;
        }
        let colon = word.iter().rposition(|byte| *byte == b':').filter(|_| dots == 3);
        let host = match colon.and_then(|at| word.get(..at)) {
            Some(host) if !host.contains(&b':') => host,
            _ => word,
        };
        str::from_utf8(host).ok()?.parse::<IpAddr>().ok()?;
        Some(host)
    })
}

fn is_part(byte: &u8) -> bool {
    byte.is_ascii_hexdigit() || b".:".contains(byte)
}

/// What stands for `word`, an address with or without a port; `None` if it can be none.
fn anonymous_word(word: &[u8]) -> Option<String> {
    let count = |wanted: u8| word.iter().filter(|byte| **byte == wanted).count();
    let (dots, colons) = (count(b'.'), count(b':'));
    if dots < 3 && colons < 2 {
        return None;
    }
    let word = str::from_utf8(word).ok()?;
    let (host, port) = match word.rsplit_once(':') {
        Some((host, port)) if dots == 3 && colons == 1 => (host, Some(port)),
        _ => (word, None),
    };
    let Ok(address) = host.parse() else { return Some("[Filtered]".to_owned()) };
    let address = anonymous(address);
    Some(port.map_or_else(|| address.to_string(), |port| format!("{address}:{port}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_loses_its_last_octet_or_all_but_48_bits() {
        for (whole, kept) in [
            ("192.0.2.99", "192.0.2.0"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1::"),
            ("::1", "::"),
            ("::ffff:192.0.2.99", "::ffff:192.0.2.0"),
        ] {
            assert_eq!(anonymous(whole.parse().unwrap()).to_string(), kept);
        }
    }

    #[test]
    fn every_address_in_a_text_is_found() {
        for (whole, kept) in [
            ("192.0.2.9, 198.51.100.7:8080,203.0.113.5", "192.0.2.0, 198.51.100.0:8080,203.0.113.0"),
            (
                "for=\"[2001:DB8:1:2::9]:80\";by=192.0.2.9;proto=https",
                "for=\"[2001:db8:1::]:80\";by=192.0.2.0;proto=https",
            ),
            ("fe80:1:2:3::9%eth0", "fe80:1:2::%eth0"),
            ("192.000.002.009", "[Filtered]"),
            ("192.0.2.9.", "[Filtered]"),
            ("1.2.3.4.5 a:b:c", "[Filtered] [Filtered]"),
            ("192.0.2.9:80:90", "[Filtered]"),
        ] {
            assert_eq!(String::from_utf8_lossy(&anonymous_text(whole.as_bytes())), kept);
        }
    }

    #[test]
    fn what_holds_no_address_is_not_copied() {
        for text in ["", "1.1 edge7 (Varnish/7.1)", "unknown", "cafe.example:80", "https", "12:30"] {
            assert!(matches!(anonymous_text(text.as_bytes()), Cow::Borrowed(_)), "{text}");
        }
    }
}
