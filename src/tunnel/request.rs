// SPDX-License-Identifier: BSD-2-Clause
//! The head of a task's request, as far as a tunnel looks at it.

use shim::{Ctx, Message};
use tunnel::request::Request;

/// Reads it. Of a header that is there several times the first one counts.
pub fn head(ctx: Ctx<'_>) -> Request<'_> {
    let mut request = Request {
        method: ctx.method(Message::Request).unwrap_or_default(),
        url: ctx.url(Message::Request).unwrap_or_default(),
        client: ctx.client_ip(),
        ..Request::default()
    };
    for (name, value) in ctx.headers(Message::Request).filter_map(protocol::header::parse) {
        let place = match name {
            name if name.eq_ignore_ascii_case(b"content-length") => {
                let length = str::from_utf8(value).ok().and_then(|text| text.parse().ok());
                request.content_length = request.content_length.or(length);
                continue;
            }
            name if name.eq_ignore_ascii_case(b"content-type") => &mut request.content_type,
            name if name.eq_ignore_ascii_case(b"content-encoding") => &mut request.content_encoding,
            name if name.eq_ignore_ascii_case(b"x-sentry-auth") => &mut request.sentry_auth,
            name if name.eq_ignore_ascii_case(b"authorization") => &mut request.authorization,
            name if name.eq_ignore_ascii_case(b"origin") => &mut request.origin,
            name if name.eq_ignore_ascii_case(b"referer") => &mut request.referer,
            name if name.eq_ignore_ascii_case(b"user-agent") => &mut request.user_agent,
            _ => continue,
        };
        place.get_or_insert(value);
    }
    request
}
