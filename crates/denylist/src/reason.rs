// SPDX-License-Identifier: BSD-2-Clause
//! Why an object is denied, in the two bytes that an entry has for it.

use std::fmt;

use crate::failures::{Fault, Outcome};

/// Why an entry was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Reason(u16);

impl Reason {
    /// VCL said so, of a response that is none of an error.
    pub const VCL: Reason = Reason(0);
    const CONNECT: Reason = Reason(1);
    const TIMEOUT: Reason = Reason(2);
    const RESET: Reason = Reason(3);
    const ERROR: Reason = Reason(4);
    const UPLOAD: Reason = Reason(5);

    /// What came of the fetch. Of a response it is the status, if that is one of an error; else it was for VCL's sake.
    pub fn of(outcome: Outcome) -> Reason {
        match outcome {
            Outcome::Status(status) => match u16::try_from(status) {
                Ok(status @ 400..=999) => Reason(status),
                _ => Reason::VCL,
            },
            Outcome::Fault(Fault::Connect) => Reason::CONNECT,
            Outcome::Fault(Fault::Timeout) => Reason::TIMEOUT,
            Outcome::Fault(Fault::Reset) => Reason::RESET,
            Outcome::Fault(Fault::Other) => Reason::ERROR,
            Outcome::Fault(Fault::Upload) => Reason::UPLOAD,
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
            Reason::UPLOAD => f.write_str("upload"),
            Reason(status) => write!(f, "{status}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_came_of_a_fetch_is_the_reason_unless_it_was_good() {
        for (status, text) in [(0, "vcl"), (200, "vcl"), (399, "vcl"), (400, "400"), (999, "999"), (70_000, "vcl")] {
            assert_eq!(Reason::of(Outcome::Status(status)).to_string(), text);
        }
        let faults = [Fault::Connect, Fault::Timeout, Fault::Reset, Fault::Upload, Fault::Other];
        let texts = faults.map(|fault| Reason::from_code(Reason::of(Outcome::Fault(fault)).code()).to_string());
        assert_eq!(texts, ["connect", "timeout", "reset", "upload", "error"]);
    }
}
