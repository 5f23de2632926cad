// SPDX-License-Identifier: BSD-2-Clause
//! The numbers of VSL tags that this module looks for by itself. The servers number them differently.

use std::sync::LazyLock;

use event::vsl::forms::Timestamp;
use shim::log::{Wanted, tag_named};

/// The records that tell how a task began, went and ended.
pub struct Tags {
    pub begin: Option<u8>,
    pub timestamp: Option<u8>,
    pub resp_status: Option<u8>,
    pub resp_reason: Option<u8>,
    pub beresp_status: Option<u8>,
    pub beresp_reason: Option<u8>,
    pub vcl_call: Option<u8>,
}

/// Looked up when the first VCL is loaded.
pub static TAGS: LazyLock<Tags> = LazyLock::new(|| Tags {
    begin: tag_named("Begin"),
    timestamp: tag_named("Timestamp"),
    resp_status: tag_named("RespStatus"),
    resp_reason: tag_named("RespReason"),
    beresp_status: tag_named("BerespStatus"),
    beresp_reason: tag_named("BerespReason"),
    vcl_call: tag_named("VCL_call"),
});

/// What a reader wants who wants `tags`.
pub fn wanted<const N: usize>(tags: [Option<u8>; N]) -> Wanted {
    let mut wanted = [0; 256];
    for tag in tags.into_iter().flatten() {
        if let Some(place) = wanted.get_mut(usize::from(tag)) {
            *place = 1;
        }
    }
    wanted
}

/// When what `Name: at since-begin since-last` tells of happened; `None` for any other record.
pub fn time(tag: u8, text: &[u8]) -> Option<f64> {
    if Some(tag) != TAGS.timestamp {
        return None;
    }
    Timestamp::parse(text).map(|reached| reached.at)
}
