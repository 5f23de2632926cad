// SPDX-License-Identifier: BSD-2-Clause
//! Certificates as operators make them, and a server as they run it: the commands of OpenSSL.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

/// A folder for a test's files.
pub struct Folder(PathBuf);

impl Folder {
    pub fn new(test: &str) -> Folder {
        let folder = std::env::temp_dir().join(format!("delivery-openssl-{test}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir(&folder).unwrap();
        Folder(folder)
    }

    pub fn file(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }

    /// Runs `openssl` in the folder; its words are separated by blanks.
    pub fn openssl(&self, words: &str) {
        let done =
            Command::new("openssl").args(words.split_whitespace()).current_dir(&self.0).output().expect("openssl");
        assert!(done.status.success(), "openssl {words}: {}", String::from_utf8_lossy(&done.stderr));
    }

    /// The certificate `<name>.pem` with its key `<name>.key`, signed by itself.
    pub fn self_signed(&self, name: &str, words: &str) -> PathBuf {
        self.openssl(&format!("req -x509 -nodes -days 30 -keyout {name}.key -out {name}.pem {words}"));
        self.file(&format!("{name}.pem"))
    }

    /// The certificate `<name>.pem` with its key `<name>.key`, signed by `authority`, with what `extensions` says.
    pub fn signed(&self, authority: &str, name: &str, request: &str, extensions: &str, words: &str) -> PathBuf {
        fs::write(self.file("extensions"), extensions).unwrap();
        self.openssl(&format!("req -new -nodes -keyout {name}.key -out request.pem {request}"));
        self.openssl(&format!(
            "x509 -req -days 30 -in request.pem -CA {authority}.pem -CAkey {authority}.key -CAcreateserial \
             -extfile extensions -out {name}.pem {words}"
        ));
        self.file(&format!("{name}.pem"))
    }

    /// A server that shows `<name>.pem` and answers 200 to the first request.
    pub fn serve(&self, name: &str, words: &str) -> Server {
        let mut server = self.serve_silent(name, words);
        server.say("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n");
        server
    }

    /// A server that shows `<name>.pem` and says nothing by itself.
    pub fn serve_silent(&self, name: &str, words: &str) -> Server {
        Server::new(&self.0, &format!("-cert {name}.pem -key {name}.key {words}"))
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

/// A running `openssl s_server`.
pub struct Server {
    child: Child,
    pub address: SocketAddr,
    lines: mpsc::Receiver<String>,
}

impl Server {
    fn new(folder: &Path, words: &str) -> Server {
        let mut child = Command::new("openssl")
            .args(["s_server", "-accept", "127.0.0.1:0"])
            .args(words.split_whitespace())
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("openssl");
        let output = BufReader::new(child.stdout.take().unwrap());
        let (sender, lines) = mpsc::channel();
        thread::spawn(move || {
            output.lines().map_while(Result::ok).for_each(|line| sender.send(line).unwrap_or_default())
        });
        let mut server = Server { child, address: SocketAddr::from(([0; 4], 0)), lines };
        server.address = server.wait_for("ACCEPT ").parse().unwrap();
        server
    }

    /// Sends it to whoever is connected, or the next one who is; a line `r` renegotiates.
    pub fn say(&mut self, text: &str) {
        self.child.stdin.as_mut().unwrap().write_all(text.as_bytes()).unwrap();
    }

    /// The rest of the next line that begins so, of what it says of itself and of what it reads.
    pub fn wait_for(&self, begin: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(super::receiver::PATIENCE).expect(begin);
            if let Some(rest) = line.strip_prefix(begin) {
                return rest.to_owned();
            }
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
