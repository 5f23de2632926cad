// SPDX-License-Identifier: BSD-2-Clause
//! A connection to the server that is measured: one request after the other.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

pub struct Connection {
    writer: TcpStream,
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub fn open(port: u16) -> io::Result<Connection> {
        let writer = TcpStream::connect(("127.0.0.1", port))?;
        writer.set_nodelay(true)?;
        writer.set_read_timeout(Some(Duration::from_secs(30)))?;
        let reader = BufReader::new(writer.try_clone()?);
        Ok(Connection { writer, reader })
    }

    /// Makes one request; whether it was answered with 200.
    pub fn ask(&mut self, path: &str) -> io::Result<bool> {
        self.send(&request("GET", path, &[]))
    }

    /// Makes a request that is written out.
    pub fn send(&mut self, request: &[u8]) -> io::Result<bool> {
        self.writer.write_all(request)?;
        let (mut line, mut length, mut ok) = (String::new(), 0, None);
        loop {
            line.clear();
            if self.reader.read_line(&mut line)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            ok.get_or_insert(line.starts_with("HTTP/1.1 200"));
            if line == "\r\n" {
                break;
            }
            if let Some((name, value)) = line.split_once(':')
                && name.eq_ignore_ascii_case("content-length")
            {
                length = value.trim().parse().unwrap_or(0);
            }
        }
        io::copy(&mut self.reader.by_ref().take(length), &mut io::sink())?;
        Ok(ok == Some(true))
    }
}

/// A request, with a body if there is one.
pub fn request(method: &str, path: &str, body: &[u8]) -> Vec<u8> {
    let length = if body.is_empty() { String::new() } else { format!("Content-Length: {}\r\n", body.len()) };
    let head =
        format!("{method} {path} HTTP/1.1\r\nHost: shop.example\r\nUser-Agent: bench\r\nAccept: */*\r\n{length}\r\n");
    [head.as_bytes(), body].concat()
}
