// SPDX-License-Identifier: BSD-2-Clause
fn main() {
    vmod_build::build_vmod("saintmode", &["saintmode", "vmod_saintmode"]);
    vmod_build::build_page("page");
}
