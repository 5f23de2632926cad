// SPDX-License-Identifier: BSD-2-Clause
//! The state of the daemon for Prometheus, in its text format (version 0.0.4).

use std::fmt::Write;

use serde_json::Value;

use super::snapshot::{Snapshot, WorkerSnapshot};

/// One metric: its name, type and what it tells, and its samples of a worker, each with more labels, if there are some.
struct Metric {
    name: &'static str,
    kind: &'static str,
    about: &'static str,
    samples: fn(&WorkerSnapshot) -> Vec<(String, f64)>,
}

const METRICS: &[Metric] = &[
    Metric {
        name: "alive",
        kind: "gauge",
        about: "Whether the reader gets on.",
        samples: |w| one(u8::from(w.alive).into()),
    },
    Metric {
        name: "reading",
        kind: "gauge",
        about: "Whether there is a log to read.",
        samples: |w| one(u8::from(w.reading).into()),
    },
    Metric {
        name: "ready",
        kind: "gauge",
        about: "Whether what is logged now would get to Sentry: there is a log that is read, and a DSN.",
        samples: |w| one(u8::from(w.ready).into()),
    },
    Metric {
        name: "groups_total",
        kind: "counter",
        about: "Groups of transactions that were read.",
        samples: |w| one(w.groups as f64),
    },
    Metric {
        name: "groups_wanted_total",
        kind: "counter",
        about: "Groups that were looked at as a whole.",
        samples: |w| one(w.wanted as f64),
    },
    Metric {
        name: "records_total",
        kind: "counter",
        about: "Records of no transaction that were read.",
        samples: |w| one(w.records as f64),
    },
    Metric {
        name: "last_read_timestamp_seconds",
        kind: "gauge",
        about: "When something was read last.",
        samples: |w| one(w.last_read),
    },
    Metric {
        name: "lost_total",
        kind: "counter",
        about: "What could not be read, by what it was.",
        samples: |w| labelled("what", w.lost.iter().map(|(name, count)| (name, *count))),
    },
    Metric {
        name: "panics_total",
        kind: "counter",
        about: "Faults of the daemon's own while it looked at a group.",
        samples: |w| one(w.panics as f64),
    },
    Metric {
        name: "found_total",
        kind: "counter",
        about: "What was found, by the filter that leads.",
        samples: |w| labelled("filter", w.found.iter().map(|(name, count)| (name, *count))),
    },
    Metric {
        name: "events_captured_total",
        kind: "counter",
        about: "Events that were captured.",
        samples: |w| of_client(w, "/captured"),
    },
    Metric {
        name: "events_sent_total",
        kind: "counter",
        about: "Events that Sentry took.",
        samples: |w| of_client(w, "/sent"),
    },
    Metric {
        name: "events_refused_total",
        kind: "counter",
        about: "Events that were not captured, by reason.",
        samples: |w| by_reason(w, "refused"),
    },
    Metric {
        name: "events_dropped_total",
        kind: "counter",
        about: "Events that were captured and lost, by reason.",
        samples: |w| by_reason(w, "dropped"),
    },
    Metric {
        name: "events_waiting",
        kind: "gauge",
        about: "Events in the queue.",
        samples: |w| of_client(w, "/queue/events"),
    },
    Metric {
        name: "events_waiting_bytes",
        kind: "gauge",
        about: "What they take.",
        samples: |w| of_client(w, "/queue/bytes"),
    },
    Metric {
        name: "events_waiting_max",
        kind: "gauge",
        about: "How many may be in the queue.",
        samples: |w| of_client(w, "/queue/max_events"),
    },
    Metric {
        name: "events_waiting_max_bytes",
        kind: "gauge",
        about: "What they may take.",
        samples: |w| of_client(w, "/queue/max_bytes"),
    },
    Metric {
        name: "events_spooled",
        kind: "gauge",
        about: "Events in the spool.",
        samples: |w| of_client(w, "/spool/events"),
    },
    Metric {
        name: "events_spooled_bytes",
        kind: "gauge",
        about: "What their files take on the disk.",
        samples: |w| of_client(w, "/spool/bytes"),
    },
    Metric {
        name: "events_spooled_max_bytes",
        kind: "gauge",
        about: "What they may take.",
        samples: |w| of_client(w, "/spool/max_bytes"),
    },
    Metric {
        name: "requests_total",
        kind: "counter",
        about: "Requests to Sentry.",
        samples: |w| of_client(w, "/requests"),
    },
];

/// The text.
pub fn metrics(snapshot: &Snapshot) -> String {
    let mut out = String::new();
    // Writing to a string does not fail.
    let _ = writeln!(out, "# HELP varnishsentry_info What runs.\n# TYPE varnishsentry_info gauge");
    let _ = writeln!(out, "varnishsentry_info{{version=\"{}\"}} 1", escaped(&snapshot.version));
    let _ = writeln!(
        out,
        "# HELP varnishsentry_start_time_seconds When it was started.\n# TYPE varnishsentry_start_time_seconds gauge"
    );
    let _ = writeln!(out, "varnishsentry_start_time_seconds {}", snapshot.since);
    for Metric { name, kind, about, samples } in METRICS {
        let _ = writeln!(out, "# HELP varnishsentry_{name} {about}\n# TYPE varnishsentry_{name} {kind}");
        for worker in &snapshot.workers {
            for (labels, value) in samples(worker) {
                let _ = writeln!(out, "varnishsentry_{name}{{worker=\"{}\"{labels}}} {value}", escaped(&worker.name));
            }
        }
    }
    out
}

fn one(value: f64) -> Vec<(String, f64)> {
    vec![(String::new(), value)]
}

fn labelled<'l>(label: &str, all: impl Iterator<Item = (&'l String, u64)>) -> Vec<(String, f64)> {
    all.map(|(name, count)| (format!(",{label}=\"{}\"", escaped(name)), count as f64)).collect()
}

fn of_client(worker: &WorkerSnapshot, path: &str) -> Vec<(String, f64)> {
    worker.client.pointer(path).and_then(Value::as_f64).map(|value| (String::new(), value)).into_iter().collect()
}

fn by_reason(worker: &WorkerSnapshot, key: &str) -> Vec<(String, f64)> {
    let reasons = worker.client.get(key).and_then(Value::as_object).into_iter().flatten();
    let reasons = reasons.map(|(reason, count)| (reason, count.as_u64().unwrap_or_default()));
    labelled("reason", reasons)
}

/// A label's value: the names of filters are the operator's.
fn escaped(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_metric_has_help_type_and_a_sample_for_each_worker() {
        let worker = |name: &str| {
            json!({
                "name": name, "instance": null, "query": null, "grouping": "request", "alive": true, "reading": false, "ready": false, "child": null, "identity": null,
                "groups": 12, "wanted": 3, "records": 4, "last_read": 1299.5, "lost": {"overruns": 2}, "panics": 0, "found": {"a \"b\"\n\\": 3},
                "client": {"captured": 3, "sent": 2, "queue": {"events": 1, "bytes": 700, "max_events": 9, "max_bytes": 9000}, "spool": null, "refused": {"throttled": 5}, "dropped": {}, "requests": 9}
            })
        };
        let snapshot: Snapshot = serde_json::from_value(
            json!({"version": "0.1.0", "pid": 7, "since": 1000, "workers": [worker("a"), worker("b")]}),
        )
        .unwrap();
        let text = metrics(&snapshot);
        for Metric { name, kind, .. } in METRICS {
            assert_eq!(text.matches(&format!("\n# TYPE varnishsentry_{name} {kind}\n")).count(), 1, "{name}");
        }
        for line in [
            "varnishsentry_info{version=\"0.1.0\"} 1",
            "varnishsentry_groups_total{worker=\"a\"} 12",
            "varnishsentry_groups_total{worker=\"b\"} 12",
            "varnishsentry_reading{worker=\"a\"} 0",
            "varnishsentry_last_read_timestamp_seconds{worker=\"a\"} 1299.5",
            "varnishsentry_lost_total{worker=\"a\",what=\"overruns\"} 2",
            "varnishsentry_found_total{worker=\"a\",filter=\"a \\\"b\\\"\\n\\\\\"} 3",
            "varnishsentry_events_refused_total{worker=\"a\",reason=\"throttled\"} 5",
            "varnishsentry_ready{worker=\"b\"} 0",
            "varnishsentry_events_waiting_bytes{worker=\"b\"} 700",
            "varnishsentry_events_waiting_max{worker=\"b\"} 9",
            "varnishsentry_events_waiting_max_bytes{worker=\"b\"} 9000",
        ] {
            assert!(text.lines().any(|known| known == line), "{line} in {text}");
        }
        assert!(!text.contains("events_spooled{") && !text.contains("events_spooled_bytes{"), "there is no spool");
    }
}
