// SPDX-License-Identifier: BSD-2-Clause
fn main() {
    vmod_build::build_vmod("sentry", &["sentry", "sentry_tunnel", "vmod_sentry"]);
}
