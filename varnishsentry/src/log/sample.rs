// SPDX-License-Identifier: BSD-2-Clause
//! Groups as varnishlog -g request printed them, of Varnish 7.1.1.

use transaction::group::{Group, Head, Kind, Reason, Record, Side};
use transaction::tags::Tags;

const PRINTED: &str = include_str!("../../testdata/groups.varnishlog");

/// All tags that stand there, and some more.
pub fn tags() -> Tags {
    let more = [
        "Backend_health",
        "VCL_Error",
        "Error",
        "LostHeader",
        "Hit",
        "HitMiss",
        "HitPass",
        "VCL_Log",
        "BereqUnset",
        "BerespUnset",
        "VSL",
        "BackendReuse",
        "CLI",
    ];
    let mut names: Vec<&'static str> = PRINTED
        .lines()
        .filter(|line| line.starts_with('-'))
        .filter_map(|line| line.split_whitespace().nth(1))
        .chain(more)
        .collect();
    names.sort_unstable();
    names.dedup();
    Tags::new((1..).zip(names))
}

pub fn groups() -> Vec<Group> {
    let tags = tags();
    PRINTED.trim_end().split("\n\n").map(|printed| group(&tags, printed)).collect()
}

/// The group whose first URL is this one.
pub fn group_of<'g>(groups: &'g [Group], url: &str) -> &'g Group {
    let number = tags().named("ReqURL").unwrap().0;
    let is_it = |group: &&Group| {
        let record = group.root().and_then(|root| root.records().find(|record| record.tag == number));
        record.is_some_and(|record| record.text == url.as_bytes())
    };
    groups.iter().find(is_it).unwrap()
}

/// What varnishlog prints of one group.
pub fn group(tags: &Tags, printed: &str) -> Group {
    let mut group = Group::default();
    let mut side = Side::None;
    for line in printed.lines() {
        let (mark, rest) = line.split_at(4);
        if mark.starts_with('*') {
            let words: Vec<_> = rest.split_whitespace().collect();
            let kind = if words[1] == "BeReq" { Kind::BackendRequest } else { Kind::Request };
            side = if kind == Kind::Request { Side::Client } else { Side::Backend };
            let level = mark.matches('*').count() as u32;
            group.begin(Head {
                vxid: words[3].parse().unwrap(),
                level,
                kind,
                reason: Reason::Unknown,
                ..Head::default()
            });
        } else {
            let (tag, text) = rest.split_at(15.min(rest.len()));
            let tag = tags.named(tag.trim()).unwrap().0;
            group.push(Record { tag, side, text: text.as_bytes() });
        }
    }
    group
}
