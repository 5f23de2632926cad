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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_matters_as_much_as_its_name_says() {
        for (expected, names) in [
            (Level::Error, &["Error", "FetchError", "VCL_Error"][..]),
            (Level::Warning, &["BogoHeader", "LostHeader", "HttpGarbage", "ESI_xmlerror"]),
            (Level::Debug, &["Debug", "VCL_trace", "Witness"]),
            (Level::Info, &["VCL_Log", "ReqURL", "Errors", ""]),
        ] {
            names.iter().for_each(|name| assert_eq!(level(name), expected, "{name}"));
        }
    }

    #[test]
    fn a_records_name_says_what_it_holds() {
        for (expected, names) in [
            (Content::ClientAddress, &["ReqStart", "SessOpen", "Proxy"][..]),
            (Content::Fragment, &["HttpGarbage", "BogoHeader", "ProxyGarbage"]),
            (Content::Header, &["ReqHeader", "BereqUnset", "ObjHeader", "RespLost"]),
            (Content::Url, &["ReqURL", "BereqURL", "Hash"]),
            (Content::Figures, &["Begin", "Timestamp", "BackendOpen", "SessClose", "VCL_call"]),
            (Content::Text, &["VCL_Log", "Error", "FetchError", "Debug"]),
        ] {
            names.iter().for_each(|name| assert_eq!(content(name), expected, "{name}"));
        }
    }
}
