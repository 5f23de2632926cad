// SPDX-License-Identifier: BSD-2-Clause
//! Header lines as they come from the wire.

/// Name and value of a header line, without white space around them; `None` for what is no header line.
pub fn parse(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = line.get(..colon)?.trim_ascii();
    (!name.is_empty()).then_some((name, line.get(colon + 1..)?.trim_ascii()))
}

#[cfg(test)]
mod tests {
    use super::*;

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
