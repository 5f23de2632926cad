// SPDX-License-Identifier: BSD-2-Clause
//! Header lines as they come from the wire.

/// Name and value of a header line, without white space around them; `None` for what is no header line.
pub fn parse(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii();
    (!name.is_empty()).then_some((name, line.get(colon + 1..)?.trim_ascii()))
}

/// Whether a header line says that the client has come by TLS, to a proxy in front.
pub fn is_https(line: &[u8]) -> bool {
    let says = |(name, value): (&[u8], &[u8])| {
        name.eq_ignore_ascii_case(b"x-forwarded-proto") && value.eq_ignore_ascii_case(b"https")
    };
    parse(line).is_some_and(says)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_proxy_in_front_says_how_the_client_came() {
        for (line, is) in [
            ("X-Forwarded-Proto: https", true),
            ("x-forwarded-proto:HTTPS ", true),
            ("X-Forwarded-Proto: http", false),
            ("X-Forwarded-Protocol: https", false),
            ("https", false),
        ] {
            assert_eq!(is_https(line.as_bytes()), is, "{line}");
        }
    }

    #[test]
    fn a_line_is_split_at_its_first_colon() {
        let table: &[(&str, Option<(&str, &str)>)] = &[
            ("Host: h:80", Some(("Host", "h:80"))),
            (" Age \t:\t7 ", Some(("Age", "7"))),
            ("Via:", Some(("Via", ""))),
            (": 1", None),
            ("  : 1", None),
            ("Host", None),
            ("", None),
        ];
        for (line, expected) in table {
            let expected = expected.map(|(name, value)| (name.as_bytes(), value.as_bytes()));
            assert_eq!(parse(line.as_bytes()), expected, "{line:?}");
        }
    }
}
