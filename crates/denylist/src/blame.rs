// SPDX-License-Identifier: BSD-2-Clause
//! Who is to blame for a fetch that failed: the table of what the server says, text by text.
//!
//! Texts alone do not tell: a client that gives its upload up and a backend that closes during one leave the same. So facts that the
//! server keeps come with them.

use crate::failures::Fault;

/// Who it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The backend, and how.
    Backend(Fault),
    /// The client, the cache or the VCL: the fetch says nothing about the backend.
    Elsewhere,
    /// Nobody has decided on this one, or what would tell is missing.
    Unknown,
}

/// What is known of the request's body while it was sent to the backend.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Upload {
    /// There was none.
    #[default]
    None,
    /// There was one, and nothing is known against it.
    Sent,
    /// It came to an early end at the client: gone, slow, malformed, a stream that was reset.
    ClientFailed,
    /// The cache could not take it.
    CacheFailed,
    /// It came to an early end, and neither is known to have failed.
    Broken,
}

/// What the server says of a fetch that failed.
#[derive(Clone, Copy, Debug, Default)]
pub struct Evidence<'e> {
    /// The last texts of FetchError, the newest first, of the last connection; `None` where there are no more.
    pub texts: [Option<&'e str>; 3],
    /// The last text of VCL_Error, of the last connection.
    pub vcl_error: Option<&'e str>,
    pub upload: Upload,
    /// Whether the last connection had served another fetch before.
    pub reused: bool,
}

const NONE: Blame = Blame::Elsewhere;
const CONNECT: Blame = Blame::Backend(Fault::Connect);
const TIMEOUT: Blame = Blame::Backend(Fault::Timeout);
const RESET: Blame = Blame::Backend(Fault::Reset);
const UPLOAD: Blame = Blame::Backend(Fault::Upload);
const ERROR: Blame = Blame::Backend(Fault::Other);

/// Texts that say it alone.
const TEXTS: &[(&str, Blame)] = &[
    // The backend was never asked.
    ("No backend", NONE),
    ("out of workspace", NONE),
    ("Failure to push processors", NONE),
    ("Failure to push V1L", NONE),
    // Headers.
    ("first byte timeout", TIMEOUT),
    ("timeout", TIMEOUT),
    ("backend closed", RESET),
    ("Received junk", ERROR),
    ("http format error", ERROR),
    // The body.
    ("chunked tail no NL", ERROR),
    ("bogusly large chunk size", ERROR),
    ("Junk after gzip data", ERROR),
    ("Gunzip error at the very end", ERROR),
    ("tGunzip failed", ERROR),
    ("Gzip failed", NONE),
    ("Could not allocate storage for esidata", NONE),
    ("Could not get storage", NONE),
    // Around it.
    ("No backend connection (rollback?)", NONE),
    ("Template object failed", NONE),
    ("No thread available for bgfetch", NONE),
];

/// The same by how they begin; after them come details.
const BEGINNINGS: &[(&str, Blame)] = &[
    ("first byte timeout (", TIMEOUT),
    ("Failure to open V1L", NONE),
    ("HTC eof", RESET),
    ("HTC ", ERROR),
    ("chunked header ", ERROR),
    ("Invalid Gzip data", ERROR),
    ("ESI+Gzip Failed", NONE),
    ("Fetch pipeline failed", NONE),
];

/// How a body ends early when its connection does.
const CUT_SHORT: &[&str] =
    &["straight insufficient bytes", "chunked insufficient bytes", "chunked read err", "eof socket fail"];

/// VCL_Error for a body that was asked for when it was gone.
const CONSUMED: &[&str] =
    &["Uncached req.body can only be consumed once.", "Multiple attempts to access non-cached req.body"];

/// No connection: refused, timed out, unreachable (host, network), reset, a socket that is absent or has a full backlog; 0 is the
/// server's own timeout.
const BACKEND_ERRNO: &[u32] = &[111, 110, 113, 101, 104, 2, 11, 0];
/// No connection for want of something on this machine: descriptors, memory, buffers, addresses, permissions, protocols.
const OWN_ERRNO: &[u32] = &[24, 23, 12, 105, 99, 13, 1, 97];
/// An upload that the other end of the connection to the backend ended.
const PEER_ERRNO: &[u32] = &[104, 110, 113];

/// What the server calls the end that the other side of any connection made: a client in its words, a peer from Vinyl Cache 9 on.
const PEER_CLOSED: &[&str] = &["Client Closed", "Peer Closed"];

/// Who is to blame for a response that the server did not take, by its text of Error; `None` for one that ends no attempt.
pub fn blame_response(error: &str) -> Option<Blame> {
    match error {
        "Body cannot be fetched" | "304 response but not conditional fetch" => Some(ERROR),
        "Invalid content-range header" | "Invalid content-length header" | "Unexpected content-range header" => {
            // A VCL that asks for a range itself gets there, too.
            Some(Blame::Unknown)
        }
        _ if error.starts_with("Invalid range header (") => Some(NONE),
        _ if error.starts_with("Expected ") && error.contains(", got ") => Some(Blame::Unknown),
        _ => None,
    }
}

/// Who is to blame, by what is known.
pub fn blame(evidence: &Evidence<'_>) -> Blame {
    let [text, before, _] = evidence.texts;
    let Some(text) = text else { return blame_upload(evidence.upload) };
    if let Some((_, blame)) = TEXTS.iter().find(|(known, _)| *known == text) {
        return *blame;
    }
    if let Some((_, blame)) = BEGINNINGS.iter().find(|(known, _)| text.starts_with(known)) {
        return *blame;
    }
    if CUT_SHORT.contains(&text) {
        // How long the connection may be silent is a limit of its socket's.
        return if before == Some("Resource temporarily unavailable") { TIMEOUT } else { RESET };
    }
    if text == "overflow" {
        // Of the backend's headers, if it is not of the workspace.
        return if before == Some("Workspace overflow") { NONE } else { ERROR };
    }
    if let Some(details) = text.strip_prefix("backend write error: ") {
        return blame_write(evidence, details);
    }
    if text.starts_with("req.body read error: ") || text == "Had failed reading req.body before." {
        // The write error that follows is missing.
        return blame_upload(evidence.upload);
    }
    let names_director = text.starts_with("Director ") && text.ends_with(" returned no backend");
    let names_filter = (text.starts_with("Fetch filter ")
        && (text.ends_with(" failed to open") || text.contains(" returned ")))
        || (text.starts_with("Filter ") && text.ends_with(" not found"));
    if names_director || names_filter {
        return NONE;
    }
    match text.strip_prefix("backend ") {
        Some(text) => blame_connection(text),
        None => Blame::Unknown,
    }
}

/// `one: fail errno 111 (Connection refused)`, `one: busy`: VCL gave the name, it means nothing.
fn blame_connection(text: &str) -> Blame {
    if text.ends_with(": busy") || text.ends_with(": unhealthy") {
        return NONE;
    }
    if text.contains(": proxy write errno ") {
        return RESET;
    }
    match text.rsplit_once(": fail errno ").and_then(|(_, errno)| number(errno)) {
        Some(errno) if BACKEND_ERRNO.contains(&errno) => CONNECT,
        Some(errno) if OWN_ERRNO.contains(&errno) => NONE,
        _ => Blame::Unknown,
    }
}

/// `32 (Broken pipe) (Client Closed)`; Varnish 7.1 leaves the last bracket out.
fn blame_write(evidence: &Evidence<'_>, details: &str) -> Blame {
    let [_, before, earlier] = evidence.texts;
    let had_failed = |text: Option<&str>| text == Some("Had failed reading req.body before.");
    if had_failed(before) || had_failed(earlier) || evidence.vcl_error.is_some_and(|text| CONSUMED.contains(&text)) {
        return NONE;
    }
    let unread = before.is_some_and(|text| text.starts_with("req.body read error: "));
    match evidence.upload {
        Upload::ClientFailed | Upload::CacheFailed => NONE,
        _ if unread || evidence.upload == Upload::Broken => {
            let reason = details.rsplit_once(" (").map_or("", |(_, reason)| reason);
            let closed = PEER_CLOSED.iter().any(|known| reason.starts_with(known));
            let peer = number(details).is_some_and(|errno| PEER_ERRNO.contains(&errno));
            if closed || peer { UPLOAD } else { NONE }
        }
        Upload::Sent => UPLOAD,
        // An idle connection may be closed at any time.
        _ if evidence.reused => NONE,
        _ => RESET,
    }
}

/// Without a text, the facts alone.
fn blame_upload(upload: Upload) -> Blame {
    match upload {
        Upload::ClientFailed | Upload::CacheFailed => NONE,
        Upload::None | Upload::Sent | Upload::Broken => Blame::Unknown,
    }
}

/// The number that a text begins with.
fn number(text: &str) -> Option<u32> {
    text.split(|letter: char| !letter.is_ascii_digit()).next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(texts: [Option<&str>; 3], upload: Upload) -> Blame {
        blame(&Evidence { texts, upload, ..Evidence::default() })
    }

    #[test]
    fn a_text_alone() {
        for (text, expected) in [
            ("backend one: unhealthy", NONE),
            ("No backend", NONE),
            ("Director sm returned no backend", NONE),
            ("backend one: busy", NONE),
            ("out of workspace", NONE),
            ("backend one: proxy write errno 32 (Broken pipe)", RESET),
            ("first byte timeout", TIMEOUT),
            ("first byte timeout (reused connection)", TIMEOUT),
            ("timeout", TIMEOUT),
            ("backend closed", RESET),
            ("Received junk", ERROR),
            ("http format error", ERROR),
            ("HTC eof (-1)", RESET),
            ("HTC eof (Unexpected end of input)", RESET),
            ("HTC empty (0)", ERROR),
            ("HTC close (Connection closed)", ERROR),
            ("overflow", ERROR),
            ("Failure to push processors", NONE),
            ("Failure to open V1L (workspace_thread overflow)", NONE),
            ("Failure to push V1L", NONE),
            ("straight insufficient bytes", RESET),
            ("chunked insufficient bytes", RESET),
            ("chunked read err", RESET),
            ("eof socket fail", RESET),
            ("chunked header non-hex", ERROR),
            ("chunked header too long", ERROR),
            ("chunked header no NL", ERROR),
            ("chunked header number syntax", ERROR),
            ("bogusly large chunk size", ERROR),
            ("chunked tail no NL", ERROR),
            ("Junk after gzip data", ERROR),
            ("Invalid Gzip data: incorrect header check", ERROR),
            ("Gunzip error at the very end", ERROR),
            ("tGunzip failed", ERROR),
            ("Gzip failed", NONE),
            ("ESI+Gzip Failed at the very end", NONE),
            ("Could not allocate storage for esidata", NONE),
            ("Could not get storage", NONE),
            ("Fetch filter gunzip failed to open", NONE),
            ("Fetch filter gunzip returned 7", NONE),
            ("Filter '...x' not found", NONE),
            ("Fetch pipeline failed to open", NONE),
            ("Fetch pipeline failed to process", NONE),
            ("No backend connection (rollback?)", NONE),
            ("Template object failed", NONE),
            ("No thread available for bgfetch", NONE),
            ("", Blame::Unknown),
            ("overflows", Blame::Unknown),
            ("Director", Blame::Unknown),
            ("Director sm is tired", Blame::Unknown),
            ("Fetch filter gunzip is tired", Blame::Unknown),
            ("Filter gunzip is tired", Blame::Unknown),
            ("The filter x not found", Blame::Unknown),
            ("It returned no backend", Blame::Unknown),
            ("backend", Blame::Unknown),
            ("backend one", Blame::Unknown),
            ("backend one: tired", Blame::Unknown),
            ("TLS handshake failed", Blame::Unknown),
        ] {
            assert_eq!(of([Some(text), None, None], Upload::None), expected, "{text}");
        }
    }

    #[test]
    fn a_response_that_was_not_taken() {
        for (text, expected) in [
            ("Body cannot be fetched", Some(ERROR)),
            ("304 response but not conditional fetch", Some(ERROR)),
            ("Invalid range header (Missing '-')", Some(NONE)),
            ("Unexpected content-range header", Some(Blame::Unknown)),
            ("Expected low range 5, got 0", Some(Blame::Unknown)),
            ("Illegal 'Vary' header from backend, making this a pass.", None),
            ("", None),
        ] {
            assert_eq!(blame_response(text), expected, "{text}");
        }
    }

    #[test]
    fn no_connection_is_the_backends_or_this_machines_by_its_errno() {
        for (errno, expected) in [
            (111, CONNECT),
            (110, CONNECT),
            (113, CONNECT),
            (101, CONNECT),
            (104, CONNECT),
            (2, CONNECT),
            (11, CONNECT),
            (0, CONNECT),
            (24, NONE),
            (23, NONE),
            (12, NONE),
            (105, NONE),
            (99, NONE),
            (13, NONE),
            (1, NONE),
            (97, NONE),
            (22, Blame::Unknown),
            (1110, Blame::Unknown),
        ] {
            // A name that VCL chose, or another module, changes nothing.
            for name in ["one", "busy", "a: busy", "10.0.0.1:80: fail errno 24 ()"] {
                let text = format!("backend {name}: fail errno {errno} (Some words)");
                assert_eq!(of([Some(&text), None, None], Upload::None), expected, "{text}");
            }
        }
        assert_eq!(of([Some("backend one: fail errno "), None, None], Upload::None), Blame::Unknown);
    }

    #[test]
    fn the_text_before_tells_more() {
        for text in CUT_SHORT {
            assert_eq!(
                of([Some(text), Some("Resource temporarily unavailable"), None], Upload::None),
                TIMEOUT,
                "{text}"
            );
            assert_eq!(of([Some(text), Some("Connection reset by peer"), None], Upload::None), RESET, "{text}");
        }
        assert_eq!(of([Some("overflow"), Some("Workspace overflow"), None], Upload::None), NONE);
        assert_eq!(of([Some("overflow"), Some("timeout"), None], Upload::None), ERROR);
    }

    #[test]
    fn an_upload_that_broke_off_is_told_by_facts() {
        const READ: &str = "req.body read error: 0 (Success)";
        let written = |errno: u32, reason: &str, upload| {
            // With and without the bracket that 7.1 leaves out.
            let texts = ["", ")"].map(|end| format!("backend write error: {errno} (Some words) ({reason}{end}"));
            let [one, two] = texts.map(|text| of([Some(&text), Some(READ), None], upload));
            assert_eq!(one, two);
            one
        };
        for errno in [0, 11, 32, 104] {
            for reason in ["Client Closed", "Peer Closed", "Error transaction"] {
                assert_eq!(written(errno, reason, Upload::ClientFailed), NONE);
                assert_eq!(written(errno, reason, Upload::CacheFailed), NONE);
            }
        }
        for upload in [Upload::Broken, Upload::Sent, Upload::None] {
            for reason in PEER_CLOSED {
                assert_eq!(written(32, reason, upload), UPLOAD);
            }
            for errno in [104, 110, 113] {
                assert_eq!(written(errno, "Error transaction", upload), UPLOAD);
            }
            for errno in [0, 11, 32] {
                assert_eq!(written(errno, "Error transaction", upload), NONE);
            }
        }
    }

    #[test]
    fn a_write_error_alone_goes_by_whether_there_was_a_body() {
        const WRITE: &str = "backend write error: 104 (Connection reset by peer) (Error transaction)";
        let evidence = |upload, reused| Evidence { texts: [Some(WRITE), None, None], upload, reused, vcl_error: None };
        assert_eq!(blame(&evidence(Upload::Sent, false)), UPLOAD);
        assert_eq!(blame(&evidence(Upload::Sent, true)), UPLOAD);
        assert_eq!(blame(&evidence(Upload::None, false)), RESET);
        assert_eq!(blame(&evidence(Upload::None, true)), NONE);
        for consumed in CONSUMED {
            let evidence = Evidence { vcl_error: Some(consumed), ..evidence(Upload::Sent, false) };
            assert_eq!(blame(&evidence), NONE, "{consumed}");
        }
        let evidence = Evidence { vcl_error: Some("something else"), ..evidence(Upload::Sent, false) };
        assert_eq!(blame(&evidence), UPLOAD);
    }

    #[test]
    fn a_body_that_had_failed_before_is_no_backends_doing() {
        const HAD: Option<&str> = Some("Had failed reading req.body before.");
        let (read, write) =
            (Some("req.body read error: 104 (x)"), Some("backend write error: 104 (x) (Client Closed)"));
        assert_eq!(of([write, read, HAD], Upload::Broken), NONE);
        assert_eq!(of([write, HAD, None], Upload::Broken), NONE);
    }

    #[test]
    fn without_a_text_facts_count_and_the_rest_is_unknown() {
        for text in [None, Some("req.body read error: 104 (x)"), Some("Had failed reading req.body before.")] {
            for (upload, expected) in [
                (Upload::None, Blame::Unknown),
                (Upload::Sent, Blame::Unknown),
                (Upload::Broken, Blame::Unknown),
                (Upload::ClientFailed, NONE),
                (Upload::CacheFailed, NONE),
            ] {
                assert_eq!(of([text, None, None], upload), expected, "{text:?} {upload:?}");
            }
        }
    }
}
