// SPDX-License-Identifier: BSD-2-Clause
//! How a build that cannot go on ends.

/// Ends the build with one sentence. A build script's panic would bury it under a backtrace hint.
pub fn fail(sentence: &str) -> ! {
    eprintln!("\nerror: {sentence}\n");
    std::process::exit(1)
}
