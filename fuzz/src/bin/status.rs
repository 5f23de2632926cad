// SPDX-License-Identifier: BSD-2-Clause
//! The daemon's status pages: whatever comes as a request, in whatever pieces, is answered once, in HTTP that a reader of another make takes, or not at all.
#![no_main]

use std::io::{self, Read, Write};
use std::time::{Duration, SystemTime};

use fuzz::bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use varnishsentry::status::server::answer;
use varnishsentry::status::watched::Workers;
use varnishsentry::stream::Stream;

const BEGINS: [&str; 8] = [
    "GET /status HTTP/1.1\r\n",
    "GET /metrics",
    "HEAD /healthz HTTP/1.0\n",
    "GET /readyz?x",
    "POST / HTTP/1.1\r\n",
    "GET / HTTP/1.1\r\n",
    " ",
    "",
];
/// The longest head that is read, and a piece more.
const MOST: usize = 4096 + 512;

/// A client that says these bytes, piece by piece, and then no more.
struct Client<'i> {
    says: &'i [u8],
    pieces: Bytes<'i>,
    said: usize,
    hears: Vec<u8>,
}

impl Read for Client<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        assert!(!buffer.is_empty() && self.hears.is_empty());
        let len = if self.pieces.is_empty() { buffer.len() } else { usize::from(self.pieces.byte()) + 1 };
        let len = len.min(buffer.len()).min(self.says.len());
        let (piece, rest) = self.says.split_at(len);
        buffer[..len].copy_from_slice(piece);
        self.says = rest;
        self.said += len;
        Ok(len)
    }
}

impl Write for Client<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.hears.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Client<'_> {
    fn bound(&self, patience: Duration) -> io::Result<()> {
        assert!(!patience.is_zero() && patience <= Duration::from_secs(2));
        Ok(())
    }
}

fuzz_target!(|input: &[u8]| {
    let mut input = Bytes(input);
    let pieces = Bytes(input.take(8));
    let mut says = input.pick(&BEGINS).as_bytes().to_vec();
    while !input.is_empty() {
        let text = input.text();
        // More of it is not read.
        says.extend_from_slice(&text[..text.len().min(MOST)]);
        says.extend_from_slice(input.pick(&["", "\r\n\r\n", "\n\n", " "]).as_bytes());
    }
    let mut client = Client { says: &says, pieces, said: 0, hears: Vec::new() };
    answer(&mut client, &Workers::new(SystemTime::UNIX_EPOCH)).unwrap();
    assert!(client.said <= MOST);
    let head = &says[..client.said];
    let is_whole = ["\r\n\r\n", "\n\n"].iter().any(|end| fuzz::body::has(head, end));
    assert_eq!(client.hears.is_empty(), !is_whole);
    if !is_whole {
        return;
    }
    let mut headers = [httparse::EMPTY_HEADER; 8];
    let mut response = httparse::Response::new(&mut headers);
    let Ok(httparse::Status::Complete(len)) = response.parse(&client.hears) else { panic!("no head") };
    let of = |name: &str| {
        response.headers.iter().find(|header| header.name == name).map(|header| str::from_utf8(header.value).unwrap())
    };
    let body = &client.hears[len..];
    let length: usize = of("Content-Length").unwrap().parse().unwrap();
    assert_eq!(body.len(), if says.starts_with(b"HEAD ") { 0 } else { length });
    assert_eq!(of("Connection"), Some("close"));
    let method = says.split(|byte| b" \r\n".contains(byte)).next().unwrap_or_default();
    let expected: &[u16] = if [&b"GET"[..], b"HEAD"].contains(&method) { &[200, 404] } else { &[405] };
    assert!(expected.contains(&response.code.unwrap()), "{:?}", response.code);
    if of("Content-Type") == Some("application/json") && !body.is_empty() {
        serde_json::from_slice::<serde_json::Value>(body).unwrap();
    }
});
