// SPDX-License-Identifier: BSD-2-Clause
//! A name server that does not answer: it holds up no post beyond its timeout nor anybody else, and
//! its look-ups do not pile up. The look-up is the system's own, in a network of the test's own.

mod fixture_connection;
mod receiver;

use std::fs;
use std::io;
use std::net::{SocketAddr, UdpSocket};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use delivery::connection::http::{HttpConnector, HttpOptions};
use delivery::connection::resolver::system_look_up;
use delivery::connection::transport::Connector;
use fixture_connection::{options, status, target, unreached};
use receiver::{Receiver, eventually};

/// Brings the loopback device of a new network up, and runs the rest of the command line.
const WITH_LOOPBACK: &str = "
import fcntl, os, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
    fcntl.ioctl(s, 0x8914, struct.pack('16sh', b'lo', 1))  # SIOCSIFFLAGS, IFF_UP
os.execvp(sys.argv[1], sys.argv[1:])
";

#[test]
fn a_name_server_that_does_not_answer_holds_nobody_up() {
    let resolv_conf = std::env::temp_dir().join(format!("resolv-{}.conf", std::process::id()));
    fs::write(&resolv_conf, "nameserver 127.0.0.1\noptions timeout:12 attempts:1\n").unwrap();
    // In a chroot whose root is no mount point unshare cannot cut the namespace off: there the mount must be taken
    // back by hand.
    let script = format!(
        "mount --bind '{}' /etc/resolv.conf || exit; \"$@\"; got=$?; umount /etc/resolv.conf; exit $got",
        resolv_conf.display()
    );
    let works = |flag: &&str| Command::new("unshare").args(["-mn", *flag, "true"]).status().is_ok_and(|s| s.success());
    let propagation = ["--propagation=private", "--propagation=unchanged"].into_iter().find(works);
    let this = std::env::current_exe().unwrap();
    let ran = Command::new("unshare")
        .args(["-mn", propagation.expect("namespaces for mounts and network: run this as root")])
        .args(["sh", "-c", &script, "sh", "python3", "-c", WITH_LOOPBACK])
        .arg(this)
        .args(["in_a_network_of_its_own", "--exact", "--nocapture"])
        .env("DNS_TEST", "1")
        .status();
    fs::remove_file(&resolv_conf).unwrap();
    assert!(ran.unwrap().success());
}

#[test]
fn in_a_network_of_its_own() {
    if std::env::var_os("DNS_TEST").is_none() {
        return;
    }
    let name_server = NameServer::start();
    let server = Receiver::new([]);
    let options = HttpOptions { connect_timeout: Duration::from_millis(200), look_up: system_look_up(), ..options() };
    let connector = HttpConnector::new(options);
    let target = target(&format!("http://sentry.test:{}/", server.address.port()));
    for _ in 0..4 {
        let error = unreached(status(&mut *connector.transport(), &target).unwrap_err());
        assert_eq!(error, "timeout: resolve");
    }
    assert_eq!(threads_named("vmod-sentry-dns"), 1, "the first look-up goes on, the others wait for it");
    assert!(name_server.asked.load(Ordering::SeqCst) <= 2, "for both families of addresses");

    name_server.answers.store(true, Ordering::SeqCst);
    // The look-up under way was not answered and will not be: the system gives it up after its 12 seconds.
    eventually("the server is found", || status(&mut *connector.transport(), &target) == Ok(200));
    assert_eq!(server.next().headers["host"], format!("sentry.test:{}", server.address.port()));
    eventually("no thread is left", || threads_named("vmod-sentry-dns") == 0);
}

fn threads_named(name: &str) -> usize {
    let tasks = fs::read_dir("/proc/self/task").unwrap().flatten();
    tasks.filter(|task| fs::read_to_string(task.path().join("comm")).is_ok_and(|comm| comm.trim() == name)).count()
}

/// Says nothing until it is told to; then that everybody is 127.0.0.1.
struct NameServer {
    asked: Arc<AtomicUsize>,
    answers: Arc<AtomicBool>,
}

impl NameServer {
    fn start() -> NameServer {
        let socket = UdpSocket::bind("127.0.0.1:53").expect("port 53 of a network of our own");
        let (asked, answers) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(false)));
        let this = NameServer { asked: asked.clone(), answers: answers.clone() };
        thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question) {
                asked.fetch_add(1, Ordering::SeqCst);
                if answers.load(Ordering::SeqCst) {
                    answer(&socket, &question[..length], from).expect("sent");
                }
            }
        });
        this
    }
}

/// RFC 1035, 4.1: the question again, and for its type A one record. What follows the question (EDNS) is left out.
fn answer(socket: &UdpSocket, question: &[u8], to: SocketAddr) -> io::Result<usize> {
    let name = question[12..].iter().position(|byte| *byte == 0).expect("a name");
    let end = 12 + name + 1 + 4;
    let is_a = question[end - 4..end - 2] == [0, 1];
    let mut said = question[..end].to_vec();
    said[2..4].copy_from_slice(&[0x81, 0x80]);
    said[4..12].copy_from_slice(&[0, 1, 0, u8::from(is_a), 0, 0, 0, 0]);
    if is_a {
        said.extend_from_slice(&[0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 60, 0, 4, 127, 0, 0, 1]);
    }
    socket.send_to(&said, to)
}
