// SPDX-License-Identifier: BSD-2-Clause
fn main() {
    let sources = ["src/task.c", "src/facts.c", "src/director.c"];
    for file in sources.into_iter().chain(["src/shim.h"]) {
        println!("cargo:rerun-if-changed={file}");
    }
    vmod_build::Server::find().cc().files(sources).compile("shim");
}
