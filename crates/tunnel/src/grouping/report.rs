// SPDX-License-Identifier: BSD-2-Clause
//! What a browser's security report says: CSP, and those that came and went beside it.

use crate::json::{Cursor, Text};

/// Bytes of a report that are looked at.
const LIMIT: usize = 64 * 1024;

/// A report. What it does not say is empty.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Report<'r> {
    /// What was violated; of reports other than CSP's the name of the report.
    pub directive: Text<'r>,
    /// What was not to be loaded, or the host that a report is about.
    pub subject: Text<'r>,
    /// The page.
    pub document: Text<'r>,
}

impl<'r> Report<'r> {
    /// Reads a report; one that is none says nothing.
    pub fn read(json: &'r [u8]) -> Report<'r> {
        let mut report = Report::default();
        let mut cursor = Cursor::new(json.get(..LIMIT).unwrap_or(json));
        let _cut = cursor.members(|cursor, name| {
            if cursor.peek()? != b'{' {
                return report.member(cursor, name);
            }
            if report.directive.is_empty() {
                report.directive = name;
            }
            cursor.members(|cursor, name| report.member(cursor, name))
        });
        report
    }

    fn member(&mut self, cursor: &mut Cursor<'r>, name: Text<'r>) -> Option<()> {
        match name.word() {
            b"effective-directive" => self.directive = cursor.text()?,
            b"violated-directive" => {
                let text = cursor.text()?;
                // The name of a report, so far.
                if self.directive.is_empty() || self.directive.is("csp-report") {
                    self.directive = text;
                }
            }
            b"blocked-uri" | b"hostname" => self.subject = cursor.text()?,
            b"document-uri" => self.document = cursor.text()?,
            _ => cursor.skip()?,
        }
        Some(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_report_says_what_was_violated_by_whom_and_where() {
        for (json, expected) in [
            (
                r#"{"csp-report":{"document-uri":"https://a/x?y","violated-directive":"img-src 'self'","effective-directive":"img-src","blocked-uri":"https://evil/p.gif"}}"#,
                ["img-src", "https://evil/p.gif", "https://a/x?y"],
            ),
            (
                r#"{"csp-report":{"effective-directive":"img-src","violated-directive":"x","blocked-uri":"inline"}}"#,
                ["img-src", "inline", ""],
            ),
            (r#"{"csp-report":{"violated-directive":"img-src 'self'"}}"#, ["img-src 'self'", "", ""]),
            (r#"{"expect-ct-report":{"hostname":"a.example","port":443}}"#, ["expect-ct-report", "a.example", ""]),
            (r#"{"date-time":"2026","hostname":"a.example","known-pins":["x"]}"#, ["", "a.example", ""]),
            (r#"[{"type":"csp-violation"}]"#, ["", "", ""]),
            ("", ["", "", ""]),
        ] {
            let report = Report::read(json.as_bytes());
            let said = [report.directive, report.subject, report.document]
                .map(|text| String::from_utf8_lossy(&text.decoded(100)).into_owned());
            assert_eq!(said, expected, "{json}");
        }
    }
}
