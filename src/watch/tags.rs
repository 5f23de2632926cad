// SPDX-License-Identifier: BSD-2-Clause
//! The tags of VSL records, as far as this module knows what they mean. The servers number them differently.

use std::sync::LazyLock;

use event::capture::content::Content;
use event::capture::level::Level;
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

/// How much a record of this name matters.
pub fn level(name: &str) -> Level {
    match name {
        "Error" | "FetchError" | "VCL_Error" => Level::Error,
        "BogoHeader" | "LostHeader" | "HttpGarbage" | "ESI_xmlerror" => Level::Warning,
        "Debug" | "VCL_trace" | "Witness" => Level::Debug,
        _ => Level::Info,
    }
}

/// When what `Name: at since-begin since-last` tells of happened; `None` for any other record.
pub fn time(tag: u8, text: &[u8]) -> Option<f64> {
    if Some(tag) != TAGS.timestamp {
        return None;
    }
    std::str::from_utf8(text).ok()?.split(' ').nth(1)?.parse().ok()
}

/// What records of this name hold.
pub fn content(name: &str) -> Content {
    let ends_in = |ends: [&str; 3]| ends.iter().any(|end| name.ends_with(end));
    match name {
        "ReqStart" | "SessOpen" | "Proxy" => Content::ClientAddress,
        "HttpGarbage" | "BogoHeader" | "ProxyGarbage" => Content::Fragment,
        "Hash" => Content::Url,
        "Begin" | "End" | "Link" | "Timestamp" | "TTL" | "Length" | "Storage" | "Fetch_Body" | "Gzip" | "Hit"
        | "HitMiss" | "HitPass" | "ReqAcct" | "BereqAcct" | "PipeAcct" | "SessClose" | "BackendOpen"
        | "BackendStart" | "BackendReuse" | "BackendClose" | "VCL_use" | "VCL_call" | "VCL_return" => Content::Figures,
        _ if ends_in(["Header", "Unset", "Lost"]) => Content::Header,
        _ if name.ends_with("URL") => Content::Url,
        _ => Content::Text,
    }
}
