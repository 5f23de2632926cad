// SPDX-License-Identifier: BSD-2-Clause
//! Tags by their names: the servers number them differently.

use crate::capture::content::Content;
use crate::capture::level::Level;

/// How much a record of this name matters.
pub fn level(name: &str) -> Level {
    match name {
        "Error" | "FetchError" | "VCL_Error" => Level::Error,
        "BogoHeader" | "LostHeader" | "HttpGarbage" | "ESI_xmlerror" => Level::Warning,
        "Debug" | "VCL_trace" | "Witness" => Level::Debug,
        _ => Level::Info,
    }
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
