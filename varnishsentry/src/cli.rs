// SPDX-License-Identifier: BSD-2-Clause
//! Asks the manager over its CLI, as varnishadm does: for what the log and the counters do not tell.

use std::io;
use std::net::{TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use protocol::text::line;
use sha2::{Digest, Sha256};

use crate::stream::Stream;

/// The length of an answer's first line, which tells status and length.
const HEAD: usize = 13;
/// The longest answer that is taken: a panic's is up to 64 KiB, quoted.
const MOST: usize = 1 << 20;
/// Characters of what a manager says when it refuses: it explains itself at length.
const MOST_TOLD: usize = 200;
const AUTHENTICATION_REQUIRED: u16 = 107;
const OK: u16 = 200;

/// Where the manager listens, and the file that proves that one may ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cli {
    addresses: Vec<String>,
    secret: Option<PathBuf>,
}

impl Cli {
    /// By the server's own arguments `-T`, lines of address and port, and `-S`.
    pub fn new(listen: &str, secret: Option<&str>) -> Cli {
        let address = |line: &str| {
            let (host, port) = line.trim().rsplit_once(' ')?;
            Some(if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") })
        };
        Cli { addresses: listen.lines().filter_map(address).collect(), secret: secret.map(PathBuf::from) }
    }

    /// Asks one thing, and has the answer within the time. An answer other than 200 is an error that says what the manager said.
    pub fn ask(&self, question: &str, within: Duration) -> io::Result<String> {
        let deadline = Instant::now() + within;
        let mut result = Err(io::Error::other("the server tells no address of its CLI"));
        for address in &self.addresses {
            result = connect(address, deadline).and_then(|mut stream| self.converse(&mut stream, question, deadline));
            if result.is_ok() {
                break;
            }
        }
        result
    }

    /// Asks one thing of a manager that was connected to.
    pub fn converse<S: Stream>(&self, stream: &mut S, question: &str, deadline: Instant) -> io::Result<String> {
        let (status, greeting) = answer(stream, deadline)?;
        if status == AUTHENTICATION_REQUIRED {
            let secret = match &self.secret {
                Some(path) => read_secret(path)?,
                None => return Err(io::Error::other("the CLI asks for a secret, and the server tells of none")),
            };
            let challenge = greeting.get(..32).ok_or_else(|| io::Error::other("the CLI's challenge is too short"))?;
            say(stream, &format!("auth {}\n", response(challenge, &secret)), deadline)?;
            expect_ok(answer(stream, deadline)?)?;
        }
        say(stream, &format!("{question}\n"), deadline)?;
        expect_ok(answer(stream, deadline)?)
    }
}

fn read_secret(path: &Path) -> io::Result<Vec<u8>> {
    std::fs::read(path).map_err(|error| io::Error::new(error.kind(), format!("{}: {error}", path.display())))
}

/// What proves the secret: a hash of challenge, newline, secret, challenge, newline.
fn response(challenge: &str, secret: &[u8]) -> String {
    let mut hash = Sha256::new();
    for part in [challenge.as_bytes(), b"\n", secret, challenge.as_bytes(), b"\n"] {
        hash.update(part);
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

fn connect(address: &str, deadline: Instant) -> io::Result<TcpStream> {
    let mut result = Err(io::Error::other(format!("{address} is no address")));
    for address in address.to_socket_addrs()? {
        result = TcpStream::connect_timeout(&address, left(deadline)?);
        if result.is_ok() {
            break;
        }
    }
    result
}

fn say<S: Stream>(stream: &mut S, line: &str, deadline: Instant) -> io::Result<()> {
    stream.bound(left(deadline)?)?;
    stream.write_all(line.as_bytes())
}

/// Status and text of an answer: `200 12      `, a newline, so many bytes and a newline.
fn answer<S: Stream>(stream: &mut S, deadline: Instant) -> io::Result<(u16, String)> {
    let mut head = [0; HEAD];
    fill(stream, &mut head, deadline)?;
    let bad = || io::Error::other("the CLI's answer is none");
    let head = std::str::from_utf8(&head).map_err(|_| bad())?;
    let mut words = head.split_whitespace();
    let status = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    let len: usize = words.next().and_then(|word| word.parse().ok()).ok_or_else(bad)?;
    if len > MOST {
        return Err(bad());
    }
    let mut text = vec![0; len + 1];
    fill(stream, &mut text, deadline)?;
    text.pop();
    Ok((status, String::from_utf8_lossy(&text).into_owned()))
}

fn fill<S: Stream>(stream: &mut S, mut buffer: &mut [u8], deadline: Instant) -> io::Result<()> {
    while !buffer.is_empty() {
        stream.bound(left(deadline)?)?;
        let len = stream.read(buffer)?;
        if len == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        buffer = buffer.get_mut(len..).unwrap_or_default();
    }
    Ok(())
}

fn expect_ok((status, text): (u16, String)) -> io::Result<String> {
    if status == OK {
        return Ok(text);
    }
    Err(io::Error::other(format!("the CLI answers {status}: {}", line(text.as_bytes(), MOST_TOLD))))
}

fn left(deadline: Instant) -> io::Result<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpListener;

    use super::*;

    const CHALLENGE: &str = "ixslvvxrgkjptxmcgnnsdxsvdmvfympg";

    /// A manager that says these things, one for each line that it hears, the first at once.
    fn manager(lines: &'static [&'static str]) -> (Cli, std::thread::JoinHandle<Vec<String>>) {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let thread = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut heard = Vec::new();
            for line in lines {
                stream.write_all(line.as_bytes()).unwrap();
                let mut said = String::new();
                let mut byte = [0];
                while stream.read(&mut byte).is_ok_and(|len| len == 1) && byte != *b"\n" {
                    said.push(char::from(byte[0]));
                }
                heard.push(said);
            }
            heard
        });
        (Cli::new(&format!("127.0.0.1 {port}\n"), None), thread)
    }

    const LONG: Duration = Duration::from_secs(30);

    #[test]
    fn the_response_is_the_one_of_the_manual() {
        // The example of vinyl-cli(7), with the secret "foo" and a newline.
        let expected = "455ce847f0073c7ab3b1465f74507b75d3dc064c1e7de3b71e00de9092fdc89a";
        assert_eq!(response(CHALLENGE, b"foo\n"), expected);
    }

    #[test]
    fn a_manager_that_wants_no_secret_is_asked_at_once() {
        let (cli, thread) = manager(&["200 5       \nhello\n", "200 9       \na\nb\nc\nd\ne\n"]);
        assert_eq!(cli.ask("panic.show", LONG).unwrap(), "a\nb\nc\nd\ne");
        assert_eq!(thread.join().unwrap(), ["panic.show", ""]);
    }

    #[test]
    fn what_is_refused_says_so() {
        let (cli, _thread) = manager(&["200 5       \nhello\n", "300 5       \nno go\n"]);
        assert_eq!(cli.ask("panic.show", LONG).unwrap_err().to_string(), "the CLI answers 300: no go");
        // In one line.
        let (cli, _thread) =
            manager(&["200 5       \nhello\n", "104 43      \nUnknown request.\nType 'help' for more info.\n"]);
        assert_eq!(
            cli.ask("panic.show", LONG).unwrap_err().to_string(),
            "the CLI answers 104: Unknown request. Type 'help' for more info."
        );
        let (cli, _thread) = manager(&["107 33      \nixslvvxrgkjptxmcgnnsdxsvdmvfympg\n\n"]);
        assert!(cli.ask("panic.show", LONG).unwrap_err().to_string().contains("tells of none"));
        let (cli, _thread) = manager(&["107 99999999\n"]);
        assert_eq!(cli.ask("panic.show", LONG).unwrap_err().to_string(), "the CLI's answer is none");
        assert!(Cli::new("", None).ask("ping", LONG).is_err());
    }

    #[test]
    fn a_manager_that_says_nothing_is_not_waited_for() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let cli = Cli::new(&format!("127.0.0.1 {}\n", listener.local_addr().unwrap().port()), None);
        assert!(cli.ask("ping", Duration::from_millis(50)).is_err());
    }

    #[test]
    fn addresses_are_those_of_the_server() {
        let cli = Cli::new("127.0.0.1 1234\n::1 1234\nnonsense\n", Some("/etc/varnish/secret"));
        assert_eq!(cli.addresses, ["127.0.0.1:1234", "[::1]:1234"]);
        assert_eq!(cli.secret.as_deref(), Some(Path::new("/etc/varnish/secret")));
    }
}
