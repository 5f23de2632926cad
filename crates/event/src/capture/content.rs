// SPDX-License-Identifier: BSD-2-Clause
//! What a record of a log that is not ours holds: whoever reads the log tells, and that tells what of it may leave.

/// What a record holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Content {
    Text = 0,
    /// A header line, `Name: text`.
    Header,
    Url,
    /// A text that begins with the client's address.
    ClientAddress,
    /// A text about something that made no sense, and maybe a piece of it.
    Fragment,
    /// What the server writes in a form of its own, of nothing that a client has said: numbers, names of the VCL's.
    Figures,
}

impl Content {
    pub(crate) const ALL: [Content; 6] =
        [Content::Text, Content::Header, Content::Url, Content::ClientAddress, Content::Fragment, Content::Figures];

    /// The content that `number` stands for.
    pub(crate) fn from_number(number: u8) -> Option<Content> {
        Content::ALL.get(usize::from(number)).copied()
    }
}
