// SPDX-License-Identifier: BSD-2-Clause
fn main() {
    const FILES: [&str; 10] = [
        "src/counters.c",
        "src/task.c",
        "src/log.c",
        "src/facts.c",
        "src/body.c",
        "src/ending.c",
        "src/fetch_error.c",
        "src/director.c",
        "src/endpoint.c",
        "src/digest.c",
    ];
    println!("cargo:rerun-if-changed=src/shim.h");
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    vmod_build::Server::find().cc().files(FILES).compile("shim");
}
