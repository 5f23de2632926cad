// SPDX-License-Identifier: BSD-2-Clause
//! One module: its generated interface, its counters and the one symbol it exports.

use std::env;
use std::path::{Path, PathBuf};

use crate::counters::Counters;
use crate::failure::fail;
use crate::server::{Server, read};

/// Builds the C part of the module `name` in a cdylib's build script: `vmod.vcc` and the `.vsc` files
/// `sets` of the package's folder. `$OUT_DIR/export.rs` and `$OUT_DIR/counters.rs` are for the crate to include.
pub fn build_vmod(name: &str, sets: &[&str]) {
    let package = PathBuf::from(env::var_os("CARGO_MANIFEST_DIR").unwrap_or_default());
    let out = PathBuf::from(env::var_os("OUT_DIR").unwrap_or_default());
    let server = Server::find();

    let vcc = package.join("vmod.vcc");
    println!("cargo:rerun-if-changed={}", vcc.display());
    let version = env::var("CARGO_PKG_VERSION").unwrap_or_default();
    // A server keeps using the copy it has of a module until the interface's text changes: the release
    // in the description makes each release a new text.
    if !read(&vcc).lines().any(|line| line.starts_with("$Module") && line.contains(&version)) {
        fail(&format!("{}: the description in $Module must name the version {version}", vcc.display()));
    }
    server.vmodtool(&vcc, name, &out);

    let mut cc = server.cc();
    let mut rust = String::new();
    let mut c = String::new();
    for set in sets {
        let file = package.join(format!("{set}.vsc"));
        println!("cargo:rerun-if-changed={}", file.display());
        let text = read(&file);
        let Some(counters) = Counters::parse(&text) else {
            fail(&format!("{} has no varnish_vsc_begin directive", file.display()));
        };
        server.vsctool(&counters.set, &text, &out);
        cc.file(out.join(format!("VSC_{}.c", counters.set)));
        rust += &counters.rust();
        c += &counters.c();
    }
    write(&out.join("counters.rs"), &rust);
    write(&out.join("export.rs"), &export_rust(name));
    let generated = read(&out.join(format!("vcc_{name}_if.c")));
    write(&out.join("export.c"), &(export_c(name, &generated) + &c));
    // The generated C includes it; everything it could say is for the server's own build.
    write(&out.join("config.h"), "");

    let archive = format!("vmodc_{name}");
    cc.include(&out).file(out.join("export.c")).cargo_metadata(false).compile(&archive);
    println!("cargo:rustc-link-search=native={}", out.display());
    // Nothing refers to the constructor, so the linker would leave the archive's member out.
    println!("cargo:rustc-link-lib=static:+whole-archive={archive}");
    // Threads, atexit and thread-local destructors of ours outlive the last VCL that imports us.
    println!("cargo:rustc-cdylib-link-arg=-Wl,-z,nodelete");
}

/// The generated C, with its two symbols in order. rustc exports what is `#[no_mangle]` in Rust, and only
/// that: so the module's data lives in Rust, and a constructor in C fills it before anyone can look; and
/// the functions, which Rust would export too, are hidden where C declares them, which hides them there.
fn export_c(name: &str, generated: &str) -> String {
    let header = format!("#include \"vcc_{name}_if.h\"");
    if !generated.contains(&header) {
        fail(&format!("vmodtool's vcc_{name}_if.c does not include its header: this server's vmodtool is too new"));
    }
    let hidden = format!("#pragma GCC visibility push(hidden)\n{header}\n#pragma GCC visibility pop");
    let generated = generated.replace(&header, &hidden);
    format!(
        "#include <stddef.h>\n#include <stdint.h>\n#include <string.h>\n\
         #define Vmod_{name}_Data Vmod_{name}_Data_c\n{generated}\n#undef Vmod_{name}_Data\n\
         extern __attribute__((visibility(\"default\"))) unsigned char Vmod_{name}_Data[256];\n\
         _Static_assert(sizeof(struct vmod_data) <= 256, \"vmod_data outgrew its place in Rust\");\n\
         static __attribute__((constructor)) void\nfill_vmod_data(void)\n{{\n\
         \tmemcpy(Vmod_{name}_Data, &Vmod_{name}_Data_c, sizeof(struct vmod_data));\n}}\n"
    )
}

fn export_rust(name: &str) -> String {
    format!(
        "/// Room for the server's `struct vmod_data`.\n#[repr(C, align(16))]\npub struct VmodData([u8; 256]);\n\
         /// What the server looks up; the constructor in `export.c` fills it when the module is mapped.\n\
         #[allow(non_upper_case_globals, reason = \"the server looks it up by this name\")]\n\
         // SAFETY: the name is this module's own; nothing else in the process may be called so.\n\
         #[unsafe(no_mangle)]\n#[used]\npub static mut Vmod_{name}_Data: VmodData = VmodData([0; 256]);\n"
    )
}

pub(crate) fn write(path: &Path, text: &str) {
    if let Err(error) = std::fs::write(path, text) {
        fail(&format!("cannot write {}: {error}", path.display()));
    }
}
