// SPDX-License-Identifier: BSD-2-Clause
//! The state of the daemon for people.

use std::fmt::Write;

use serde_json::Value;

use super::snapshot::{Snapshot, WorkerSnapshot};

/// A few lines for each worker, at the time `now`, in seconds since the epoch.
pub fn text(snapshot: &Snapshot, now: f64) -> String {
    let mut out = String::new();
    let Snapshot { version, pid, since, workers } = snapshot;
    // Writing to a string does not fail.
    let _ = writeln!(out, "varnishsentry {version}, pid {pid}, runs for {}", span(now - *since as f64));
    workers.iter().for_each(|worker| put(&mut out, worker, now));
    out
}

fn put(out: &mut String, worker: &WorkerSnapshot, now: f64) {
    let client = &worker.client;
    let _ = writeln!(out, "\nworker {}", worker.name);
    let log = match (&worker.child, worker.reading) {
        _ if !worker.alive => "the reader is stuck".to_owned(),
        (Some(child), true) => format!("of child {}, which runs for {}", child.pid, span(now - child.started as f64)),
        (None, true) => "is read".to_owned(),
        (_, false) => "there is none to read".to_owned(),
    };
    let instance = worker.instance.as_deref().unwrap_or("default");
    let mut row = |name: &str, value: &str| {
        let _ = writeln!(out, "  {name:<10} {value}");
    };
    row("log", &format!("{log}; instance {instance}, grouping {}", worker.grouping));
    if let Some(query) = &worker.query {
        row("query", query);
    }
    let last =
        if worker.last_read > 0.0 { format!("{} ago", span(now - worker.last_read)) } else { "never".to_owned() };
    row("read", &format!("{} groups, {} records of no transaction; last {last}", worker.groups, worker.records));
    row("lost", &counts(worker.lost.iter()));
    row("found", &counts(worker.found.iter()));
    let word = |key: &str| client.get(key).and_then(Value::as_str).unwrap_or("none").to_owned();
    row("sentry", &format!("{}, project {}: {}", word("host"), word("project"), word("state")));
    let number = |path: &str| client.pointer(path).and_then(Value::as_u64).unwrap_or_default();
    let waiting = number("/queue/events") + number("/queue/sending");
    row(
        "events",
        &format!(
            "{} captured, {} sent, {waiting} waiting, {} spooled",
            number("/captured"),
            number("/sent"),
            number("/spool/events")
        ),
    );
    for key in ["refused", "dropped"] {
        let reasons = client.get(key).and_then(Value::as_object).into_iter().flatten();
        let reasons: Vec<_> = reasons.map(|(reason, count)| (reason, count.as_u64().unwrap_or_default())).collect();
        row(key, &counts(reasons.iter().map(|(reason, count)| (*reason, count))));
    }
    if let Some(error) = client.get("last_error").and_then(Value::as_str) {
        row("last error", error);
    }
}

/// What is not 0.
fn counts<'c>(all: impl Iterator<Item = (&'c String, &'c u64)>) -> String {
    let told: Vec<_> = all.filter(|(_, count)| **count > 0).map(|(name, count)| format!("{name} {count}")).collect();
    if told.is_empty() { "nothing".to_owned() } else { told.join(", ") }
}

fn span(seconds: f64) -> String {
    // `as` saturates, and what lies ahead was just now.
    let seconds = seconds.max(0.0) as u64;
    match seconds {
        0..=119 => format!("{seconds} s"),
        120..=7199 => format!("{} min", seconds / 60),
        7200..=172_799 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_worker_is_told_in_a_few_lines() {
        let snapshot: Snapshot = serde_json::from_value(json!({
            "version": "0.1.0", "pid": 7, "since": 1000,
            "workers": [{
                "name": "shop", "instance": null, "query": "ReqURL ~ x", "grouping": "request", "alive": true, "reading": true, "ready": true,
                "child": {"pid": 9, "started": 400}, "identity": "edge1", "groups": 12, "wanted": 3, "records": 4, "last_read": 1299.5,
                "lost": {"overruns": 2, "gaps": 0}, "panics": 0, "found": {"5xx": 3},
                "client": {"host": "sentry.example.com", "project": "42", "state": "ok", "captured": 3, "sent": 2, "queue": {"events": 1, "sending": 0},
                           "spool": null, "refused": {"throttled": 5, "ignored": 0}, "dropped": {"queue_overflow": 0}, "last_error": "no route"}
            }]
        }))
        .unwrap();
        let expected = "varnishsentry 0.1.0, pid 7, runs for 5 min\n\nworker shop\n  \
            log        of child 9, which runs for 15 min; instance default, grouping request\n  query      ReqURL ~ x\n  \
            read       12 groups, 4 records of no transaction; last 0 s ago\n  lost       overruns 2\n  found      5xx 3\n  \
            sentry     sentry.example.com, project 42: ok\n  events     3 captured, 2 sent, 1 waiting, 0 spooled\n  \
            refused    throttled 5\n  dropped    nothing\n  last error no route\n";
        assert_eq!(text(&snapshot, 1300.0), expected);
    }
}
