// SPDX-License-Identifier: BSD-2-Clause
//! The status page, its script, and the policy for both: `page/` of this package, put together by the build.

include!(concat!(env!("OUT_DIR"), "/page.rs"));
