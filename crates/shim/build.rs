// SPDX-License-Identifier: BSD-2-Clause
fn main() {
    for file in
        ["src/shim.h", "src/task.c", "src/log.c", "src/facts.c", "src/fetch_error.c", "src/director.c", "src/digest.c"]
    {
        println!("cargo:rerun-if-changed={file}");
    }
    vmod_build::Server::find()
        .cc()
        .files(["src/task.c", "src/log.c", "src/facts.c", "src/fetch_error.c", "src/director.c", "src/digest.c"])
        .compile("shim");
}
