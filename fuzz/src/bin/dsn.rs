// SPDX-License-Identifier: BSD-2-Clause
//! DSNs, from VCL, a file or the environment: what is one shows no key, and all of it is understood.
#![no_main]

use libfuzzer_sys::fuzz_target;
use protocol::dsn::{Dsn, Scheme};

fn written(dsn: &Dsn, public: &str, secret: Option<&str>) -> String {
    let colon = if secret.is_some() { ":" } else { "" };
    let url = dsn.envelope_url();
    let (scheme, rest) = url.split_once("://").unwrap();
    let place = rest.strip_suffix(&format!("/api/{}/envelope/", dsn.project())).unwrap();
    format!("{scheme}://{public}{colon}{}@{place}/{}", secret.unwrap_or_default(), dsn.project())
}

fuzz_target!(|input: &[u8]| {
    let text = String::from_utf8_lossy(input);
    let dsn = match Dsn::parse(&text) {
        Ok(dsn) => dsn,
        Err(error) => {
            let error = error.to_string();
            assert!(error.starts_with("dsn ") && error.lines().count() == 1);
            return;
        }
    };
    let again = Dsn::parse(&written(&dsn, dsn.public_key(), dsn.secret()));
    assert_eq!(again.as_ref(), Ok(&dsn));

    // With other keys it is the same place, which is all it ever shows.
    let other = Dsn::parse(&written(&dsn, "hunter2", Some("hunter3"))).unwrap();
    let shown = |dsn: &Dsn| (dsn.to_string(), format!("{dsn:?}"), dsn.envelope_url(), dsn.folder_name());
    assert_eq!(shown(&dsn), shown(&other));
    assert_eq!((other.public_key(), other.secret()), ("hunter2", Some("hunter3")));

    let header = dsn.auth_header("c/1");
    let secret = dsn.secret().map(|secret| format!(", sentry_secret={secret}")).unwrap_or_default();
    assert_eq!(header, format!("Sentry sentry_version=7, sentry_client=c/1, sentry_key={}{secret}", dsn.public_key()));
    // Nothing in it ends a header, a field of it, or a line of a request.
    let fields = 4 + usize::from(dsn.secret().is_some());
    assert_eq!((header.split(' ').count(), header.split(',').count()), (fields, fields - 1));
    assert!(header.bytes().chain(dsn.envelope_url().bytes()).all(|byte| byte == b' ' || byte.is_ascii_graphic()));
    assert!(dsn.port() != 0 && matches!(dsn.scheme(), Scheme::Http | Scheme::Https));
    // The name of one folder, right there.
    assert!(!dsn.folder_name().contains('/') && ![".", ".."].contains(&&*dsn.folder_name()));
});
