// SPDX-License-Identifier: BSD-2-Clause
//! An answer costs a bounded number of bytes and a bounded time, and a status that is known is used.

mod fixture_connection;
mod receiver;

use std::sync::atomic::Ordering;
use std::time::Instant;

use delivery::connection::request::Failure;
use delivery::connection::transport::Connector;
use fixture_connection::{RawServer, SLACK, answer, body, connector, post, status, target_at};
use receiver::{Act, PATIENCE, Receiver};

#[test]
fn a_body_that_never_comes_or_never_ends_takes_nothing_from_the_status_and_little_time() {
    let cases: [(&str, &str, bool); 9] = [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", "", false),
        ("HTTP/1.1 400 No\r\nContent-Length: 100\r\n\r\n{", "", false),
        ("HTTP/1.1 200 OK\r\n\r\n", "", false),
        ("HTTP/1.1 200 OK\r\n\r\n", "x", true),
        ("HTTP/1.1 429 Slow\r\nRetry-After: 7\r\nTransfer-Encoding: chunked\r\n\r\n", "1\r\nx\r\n", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "Trailer: x\r\n", true),
        ("HTTP/1.1 503 No\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n", "x", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "ffffffffffffffffffff", true),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "\r\n", true),
    ];
    for (begin, rest, endless) in cases {
        let server = RawServer::new(move |raw| {
            raw.request()?;
            raw.say(begin)?;
            if endless { raw.say_without_end(&rest.repeat(1000)) } else { raw.stall() }
        });
        let started = Instant::now();
        let answer = answer(&server.target());
        assert!(begin.contains(&answer.status.to_string()), "{begin}: {answer:?}");
        assert_eq!(answer.retry_after.is_some(), begin.contains("Retry-After"));
        // A 2xx has no other reason to complain of.
        if answer.status == 200 && matches!(rest, "" | "x") {
            let complaint = answer.complaint.unwrap_or_default();
            let is_late = complaint == "its body did not end within 500 ms, waiting no longer";
            let is_long = complaint == "its body has more than 64 KiB, reading no more";
            assert!(is_late || is_long && endless, "{begin}: {complaint:?}");
        }
        assert!(started.elapsed() < SLACK, "{begin}: {:?}", started.elapsed());
        if endless {
            // What we read is a few hundred kilobytes; the rest is in the system's buffers.
            let written = server.written.recv_timeout(PATIENCE).expect("the connection was closed");
            assert!(written < 16 << 20, "{begin}: {written}");
        }
    }
}

#[test]
fn a_body_that_ends_is_no_reason_to_complain_whatever_its_form() {
    for said in [
        "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
        "HTTP/1.1 200 OK\r\n\r\n{}",
        "HTTP/1.0 200 OK\r\n\r\n{}",
        "HTTP/1.1 204 None\r\n\r\n",
    ] {
        let server = RawServer::new(move |raw| {
            raw.request()?;
            raw.say(said)
        });
        assert_eq!(answer(&server.target()).complaint, None, "{said}");
    }
}

#[test]
fn what_comes_behind_an_answer_without_a_body_costs_the_connection() {
    for (said, status) in [
        ("HTTP/1.1 204 None\r\nContent-Length: 5\r\n\r\nhello", 204),
        ("HTTP/1.1 204 None\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", 204),
        ("HTTP/1.1 304 Same\r\nContent-Length: 5\r\n\r\nhello", 304),
        ("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nmore", 200),
        // Whatever is spoken on it from here on.
        ("HTTP/1.1 101 Switching\r\nUpgrade: x\r\n\r\n", 101),
        ("HTTP/1.1 101 Switching\r\n\r\nhello", 101),
    ] {
        let server = RawServer::new(move |raw| {
            raw.request()?;
            raw.say(said)?;
            raw.stall()
        });
        let mut transport = connector().transport();
        for connections in 1..=3 {
            assert_eq!(
                post(&mut *transport, &server.target()).result.map(|answer| answer.status),
                Ok(status),
                "{said}"
            );
            assert_eq!(server.connections.load(Ordering::SeqCst), connections, "{said}");
        }
    }
}

#[test]
fn a_body_that_breaks_off_takes_nothing_from_the_status() {
    for (said, status, complaint) in [
        ("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{", 200, None),
        ("HTTP/1.1 403 No\r\nContent-Length: 100\r\n\r\nbecause", 403, Some("because")),
        ("HTTP/1.0 403 No\r\n\r\nbecause", 403, Some("because")),
        ("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\n7\r\nbecause\r\n", 500, Some("because")),
        ("HTTP/1.1 500 No\r\nTransfer-Encoding: chunked\r\n\r\nbecause\r\n", 500, None),
        ("HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n{", 200, None),
        ("HTTP/1.1 204 None\r\n\r\n", 204, None),
        ("HTTP/1.1 101 Switching\r\n\r\n", 101, None),
    ] {
        let server = RawServer::new(move |raw| {
            raw.request()?;
            raw.say(said)
        });
        let answer = answer(&server.target());
        assert_eq!((answer.status, answer.complaint.as_deref()), (status, complaint), "{said}");
    }
}

#[test]
fn an_answer_without_end_costs_a_bounded_number_of_bytes() {
    for (begin, rest, expected) in [
        ("", "HTTP/1.1 100 Continue\r\n\r\n", Err("an answer without end")),
        ("", "HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", Err("an answer without end")),
        ("", "\r\n", Err("an answer without end")),
        ("", "x", Err("an answer without end")),
        ("", "x\r\n", Err("an answer that is no HTTP")),
        ("HTTP/1.1 202 Accepted\r\n", "X-Line: x\r\n", Ok(202)),
        ("HTTP/1.1 202 Accepted\r\nX-Line: ", "x", Ok(202)),
        ("HTTP/1.1 202 Accepted\r\nX-Line: ", "x\r\n y", Ok(202)),
    ] {
        let server = RawServer::new(move |raw| {
            raw.request()?;
            raw.say(begin)?;
            raw.say_without_end(&rest.repeat(1000))
        });
        let started = Instant::now();
        let result = post(&mut *connector().transport(), &server.target()).result;
        let expected = expected.map_err(|text| Failure::Broken(format!("io: {text}")));
        assert_eq!(result.map(|answer| answer.status), expected, "{begin:?} {rest:?}");
        assert!(started.elapsed() < SLACK, "{rest:?}");
        let written = server.written.recv_timeout(PATIENCE).expect("the connection was closed");
        assert!(written < 16 << 20, "{rest:?}: {written}");
    }
}

#[test]
fn the_status_of_a_long_or_odd_head_counts_and_the_connection_is_kept() {
    let many: String = (0..150).map(|number| format!("X-Line-{number}: value\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "x".repeat(20_000));
    let folded = "X-Folded: a\r\n b\r\n\tc\r\n".to_owned();
    let interim = "\r\n\r\nHTTP/1.1 100 Continue\r\nX-With: header\r\n\r\nHTTP/1.1 103 Early\r\n\r\n".to_owned();
    let limits = format!("X-Sentry-Rate-Limits: {}60:error\r\n", "60:default:key, ".repeat(1250));
    let odd = "No colon\r\nBad\u{1}Name: x\r\nName : \u{fc}\r\n".to_owned();
    for (before, lines) in [("", &many), ("", &long), ("", &folded), (&*interim, &folded), ("", &limits), ("", &odd)] {
        let head = format!("{before}HTTP/1.1 429 Slow\r\n{lines}Retry-After: 8\r\nContent-Length: 2\r\n\r\n{{}}");
        let server = RawServer::new(move |raw| {
            loop {
                raw.request()?;
                raw.say(&head)?;
            }
        });
        let mut transport = connector().transport();
        for _ in 0..2 {
            let answer = post(&mut *transport, &server.target()).result.unwrap();
            assert_eq!((answer.status, answer.retry_after.as_deref()), (429, Some("8")), "{before} {lines}");
            assert_eq!(answer.rate_limits.is_some_and(|limits| limits.ends_with("60:error")), lines == &limits);
        }
        assert_eq!(server.connections.load(Ordering::SeqCst), 1, "{before} {lines}");
    }
}

#[test]
fn an_answer_that_comes_before_the_whole_request_was_read_is_used() {
    let server = RawServer::new(|raw| raw.say("HTTP/1.1 413 Large\r\nContent-Length: 5\r\n\r\nlarge"));
    let mut transport = connector().transport();
    // More than the system takes of it: the rest cannot be sent.
    let posted = transport.post(&server.target(), &body(32 << 20), PATIENCE);
    let answer = posted.result.expect("an answer");
    assert_eq!((answer.status, answer.complaint.as_deref()), (413, Some("large")));
}

#[test]
fn a_long_body_costs_the_connection_and_nothing_else() {
    let server = Receiver::new([Act::Answer(200, Vec::new(), "x".repeat(1 << 20))]);
    let mut transport = connector().transport();
    for _ in 0..2 {
        assert_eq!(status(&mut *transport, &target_at(server.address)), Ok(200));
    }
    assert_eq!(server.connections(), 2);
}
