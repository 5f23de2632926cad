// SPDX-License-Identifier: BSD-2-Clause
//! What Sentry is told of who asked.

use privacy::address::anonymous;
use protocol::request_headers::{HeaderName, RequestHeaders};

use crate::request::Request;
use crate::settings::ClientIp;

/// The header lines that travel with what a request brought. None of its own that say an address are among them: anybody can write those.
pub fn lines(request: &Request<'_>, client_ip: ClientIp) -> RequestHeaders {
    let mut headers = RequestHeaders::default();
    let address = request.client.map(|address| address.to_canonical()).and_then(|address| match client_ip {
        ClientIp::Send => Some(address),
        ClientIp::Short => Some(anonymous(address)),
        ClientIp::None => None,
    });
    if let Some(address) = address {
        headers.add(HeaderName::ForwardedFor, address.to_string().as_bytes());
    }
    // Sentry takes the one for the other, and wants one of them.
    let has_origin = request.origin.is_some_and(|origin| headers.add(HeaderName::Origin, origin));
    if let Some(referer) = request.referer.filter(|_| !has_origin) {
        headers.add(HeaderName::Referer, referer);
    }
    if let Some(agent) = request.user_agent {
        headers.add(HeaderName::UserAgent, agent);
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_told_as_far_as_the_operator_wants_and_never_as_the_client_says() {
        let told = |client: &str, how| {
            let request = Request { client: client.parse().ok(), ..Request::default() };
            lines(&request, how).get(HeaderName::ForwardedFor).map(str::to_owned)
        };
        for (client, send, short) in [
            ("192.0.2.77", Some("192.0.2.77"), Some("192.0.2.0")),
            ("::ffff:192.0.2.77", Some("192.0.2.77"), Some("192.0.2.0")),
            ("2001:db8:1:2::3", Some("2001:db8:1:2::3"), Some("2001:db8:1::")),
            ("unknown", None, None),
        ] {
            assert_eq!(told(client, ClientIp::Send).as_deref(), send);
            assert_eq!(told(client, ClientIp::Short).as_deref(), short);
            assert_eq!(told(client, ClientIp::None), None);
        }
    }

    #[test]
    fn origin_and_agent_travel_along_and_a_referer_in_place_of_an_origin() {
        let request = Request {
            origin: Some(b"https://a"),
            referer: Some(b"https://a/b"),
            user_agent: Some(b"x/1"),
            ..Request::default()
        };
        assert_eq!(lines(&request, ClientIp::Send).as_text(), "Origin: https://a\nUser-Agent: x/1\n");
        let bad = Request { origin: Some(b"https://a\r\nX: y"), ..request };
        assert_eq!(lines(&bad, ClientIp::Send).as_text(), "Referer: https://a/b\nUser-Agent: x/1\n");
        assert!(lines(&Request::default(), ClientIp::Send).is_empty());
    }
}
