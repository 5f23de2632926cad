// SPDX-License-Identifier: BSD-2-Clause
//! Why an object is denied, in the two bytes that an entry has for it.

use std::fmt;

/// Why an entry was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reason(u16);

impl Reason {
    /// VCL said so, of a response that is none of an error.
    pub const VCL: Reason = Reason(0);
    /// There was no connection.
    pub const CONNECT: Reason = Reason(1);
    /// The backend was silent for too long.
    pub const TIMEOUT: Reason = Reason(2);
    /// The connection ended early.
    pub const RESET: Reason = Reason(3);
    /// There was no response, for another reason.
    pub const ERROR: Reason = Reason(4);

    /// The response's status, if it is one of an error; else it was for VCL's sake.
    pub fn status(status: u32) -> Reason {
        match u16::try_from(status) {
            Ok(status @ 400..=999) => Reason(status),
            _ => Reason::VCL,
        }
    }

    pub(crate) fn code(self) -> u16 {
        self.0
    }

    /// The inverse of [`Reason::code`].
    pub(crate) fn from_code(code: u16) -> Reason {
        Reason(code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Reason::VCL => f.write_str("vcl"),
            Reason::CONNECT => f.write_str("connect"),
            Reason::TIMEOUT => f.write_str("timeout"),
            Reason::RESET => f.write_str("reset"),
            Reason::ERROR => f.write_str("error"),
            Reason(status) => write!(f, "{status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_a_reason_if_it_is_one_of_an_error() {
        for (status, text) in
            [(0, "vcl"), (200, "vcl"), (399, "vcl"), (400, "400"), (503, "503"), (999, "999"), (70_000, "vcl")]
        {
            assert_eq!(Reason::status(status).to_string(), text);
        }
    }
}
