// SPDX-License-Identifier: BSD-2-Clause
fn main() {
    const FILES: [&str; 5] = ["src/log.c", "src/look.c", "src/record.c", "src/server.c", "src/process.c"];
    println!("cargo:rerun-if-changed=src/vapi.h");
    for file in FILES {
        println!("cargo:rerun-if-changed={file}");
    }
    let server = vmod_build::Server::find();
    server.cc().files(FILES).compile("vapi");
    // After what refers to it.
    server.link();
}
