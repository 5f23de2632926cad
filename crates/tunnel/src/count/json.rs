// SPDX-License-Identifier: BSD-2-Clause
//! The counts as JSON: the members of Cyclops' `/count`, and what they are made of.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;

use super::counts::{Counted, Counts};
use crate::answer::Refusal;
use crate::noise::Noise;

/// What only delivery knows.
#[derive(Clone, Debug)]
pub struct Figures<D> {
    /// Entries that wait, in memory and in the spool.
    pub waiting: u64,
    /// The mean of the times that the server takes to answer; `None` while nothing is known.
    pub average: Option<Duration>,
    /// Within which nine of ten answers come.
    pub percentile: Option<Duration>,
    pub projects: Vec<ProjectFigures<D>>,
}

/// One project's.
#[derive(Clone, Debug)]
pub struct ProjectFigures<D> {
    pub project: String,
    pub waiting: u64,
    /// What else there is to say, as it is to be in the JSON under `delivery`.
    pub delivery: D,
}

#[derive(Serialize)]
struct Count<'f, D> {
    count: u64,
    /// In milliseconds.
    average: f64,
    percentile: f64,
    #[serde(flatten)]
    requests: Requests,
    projects: BTreeMap<&'f str, Project<'f, D>>,
}

#[derive(Serialize)]
struct Project<'f, D> {
    count: u64,
    #[serde(flatten)]
    requests: Requests,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivery: Option<&'f D>,
}

/// `accepted` = `processed` + `ignored`; `ignored` and `refused` are the sums of what is said of them.
#[derive(Serialize)]
struct Requests {
    accepted: u64,
    processed: u64,
    ignored: u64,
    ignored_by: BTreeMap<&'static str, u64>,
    refused: u64,
    refused_by: BTreeMap<&'static str, u64>,
}

impl From<Counted> for Requests {
    fn from(counted: Counted) -> Requests {
        let Counted { processed, throttled, ignored, noise, sampled, limited, dropped, refused } = counted;
        let mut by: BTreeMap<_, _> =
            Noise::ALL.into_iter().zip(noise).map(|(kind, count)| (kind.as_str(), count)).collect();
        let rest = [
            ("throttle", throttled),
            ("rule", ignored),
            ("share", sampled),
            ("rate_limit", limited),
            ("drop_items", dropped),
        ];
        by.extend(rest);
        let some = |(_, count): &(&'static str, u64)| *count > 0;
        Requests {
            accepted: processed + counted.forgotten(),
            processed,
            ignored: counted.forgotten(),
            ignored_by: by.into_iter().filter(some).collect(),
            refused: counted.refused(),
            refused_by: Refusal::ALL
                .into_iter()
                .zip(refused)
                .map(|(why, count)| (why.as_str(), count))
                .filter(some)
                .collect(),
        }
    }
}

/// One line. `projects` are those that have counts; those that only delivery knows are there, too.
pub fn json<'f, D: Serialize>(
    all: &Counts,
    projects: impl Iterator<Item = (&'f str, &'f Counts)>,
    figures: &'f Figures<D>,
) -> String {
    let millis = |time: Option<Duration>| time.unwrap_or_default().as_secs_f64() * 1000.0;
    let project = |counted: Counted| Project { count: 0, requests: counted.into(), delivery: None };
    let mut by: BTreeMap<&str, Project<'_, D>> =
        projects.map(|(name, counts)| (name, project(counts.read()))).collect();
    for known in &figures.projects {
        let entry = by.entry(&known.project).or_insert_with(|| project(Counted::default()));
        (entry.count, entry.delivery) = (known.waiting, Some(&known.delivery));
    }
    let count = Count {
        count: figures.waiting,
        average: millis(figures.average),
        percentile: millis(figures.percentile),
        requests: all.read().into(),
        projects: by,
    };
    serde_json::to_string(&count).unwrap_or_else(|_| "{}".to_owned())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json as value};

    use super::*;
    use crate::answer::Outcome;

    #[test]
    fn it_is_cyclops_count_and_what_it_is_made_of() {
        let (all, shop) = (Counts::default(), Counts::default());
        for outcome in
            [Outcome::Processed, Outcome::Throttled, Outcome::Throttled, Outcome::Ignored(Some(Noise::Crawler))]
        {
            all.add(outcome);
            shop.add(outcome);
        }
        all.add(Outcome::Refused(Refusal::UnknownKey));
        let figures = Figures {
            waiting: 7,
            average: Some(Duration::from_micros(1500)),
            percentile: None,
            projects: vec![ProjectFigures { project: "43".to_owned(), waiting: 5, delivery: value!({"sent": 9}) }],
        };
        let text = json(&all, [("42", &shop)].into_iter(), &figures);
        let nothing = value!({"count": 5, "accepted": 0, "processed": 0, "ignored": 0, "ignored_by": {}, "refused": 0, "refused_by": {}, "delivery": {"sent": 9}});
        let by = value!({"throttle": 2, "crawler": 1});
        let expected = value!({
            "count": 7, "average": 1.5, "percentile": 0.0,
            "accepted": 4, "processed": 1, "ignored": 3, "ignored_by": by, "refused": 1, "refused_by": {"unknown_key": 1},
            "projects": {
                "42": {"count": 0, "accepted": 4, "processed": 1, "ignored": 3, "ignored_by": by, "refused": 0, "refused_by": {}},
                "43": nothing,
            },
        });
        assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), expected);
        assert!(!text.contains('\n'));
    }
}
