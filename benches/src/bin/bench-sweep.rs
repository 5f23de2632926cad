// SPDX-License-Identifier: BSD-2-Clause
//! usage: bench-sweep ENTRIES ROUNDS
//!
//! A denylist of so many entries, all over at the same time, and the calls that then free them. Prints the
//! longest time of a call in ns, of the CPU: a call's time is that of the quickest of all rounds, because
//! each round makes the same calls and what differs is the machine's noise.

use std::time::Duration;

use benches::meter::thread_cpu;
use denylist::{Denylist, Digest, Time};

/// Without a pattern, as a SHA256 is.
fn digest(n: u64) -> Digest {
    let mut digest = [0; 32];
    for (part, bytes) in digest.chunks_mut(8).enumerate() {
        let mixed = (n * 4 + part as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        bytes.copy_from_slice(&(mixed ^ (mixed >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9).to_le_bytes());
    }
    digest
}

fn main() {
    let numbers: Vec<u64> = std::env::args().skip(1).map(|word| word.parse().expect("a number")).collect();
    let &[entries, rounds] = numbers.as_slice() else { panic!("usage: bench-sweep ENTRIES ROUNDS") };
    let begin = Time::from_seconds(1e9);
    let (over, now) = (begin.plus(10.0), begin.plus(11.0));
    let mut quickest = vec![Duration::MAX; entries as usize / 16];
    for _ in 0..rounds {
        let list = Denylist::new(entries, entries as usize);
        for n in 0..entries {
            list.deny(&digest(n), over, begin);
        }
        assert_eq!(list.live(begin), entries);
        for (n, quickest) in quickest.iter_mut().enumerate() {
            let object = digest(entries + n as u64);
            let before = thread_cpu();
            list.verdict(Some(&object), now);
            list.deny(&object, now.plus(10.0), now);
            *quickest = (*quickest).min(thread_cpu() - before);
        }
    }
    println!("{}", quickest.iter().max().map_or(0, Duration::as_nanos));
}
