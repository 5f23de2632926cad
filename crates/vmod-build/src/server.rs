// SPDX-License-Identifier: BSD-2-Clause
//! The installed server: where its headers and generators are.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::failure::fail;

/// An installed Varnish Cache or Vinyl Cache with its development files.
pub struct Server {
    package: &'static str,
    include: PathBuf,
    vmodtool: PathBuf,
    vsctool: PathBuf,
    python: &'static str,
}

impl Server {
    /// Finds the server by pkg-config, `varnishapi` first, and asks cargo to build again when another
    /// one is installed. Ends the build with a sentence that names the package if nothing is there.
    pub fn find() -> Server {
        println!("cargo:rerun-if-env-changed=PKG_CONFIG_PATH");
        if Command::new("pkg-config").arg("--version").output().is_err() {
            fail("pkg-config is missing: install the package `pkg-config` (or run `make deps`)");
        }
        let Some(package) = ["varnishapi", "vinylapi"].into_iter().find(|package| exists(package)) else {
            fail(
                "no Varnish Cache or Vinyl Cache development files found: install `libvarnishapi-dev` or \
                 `libvinylapi-dev` (or run `make deps`)",
            );
        };
        let server = Server {
            package,
            include: PathBuf::from(variable(package, "pkgincludedir")),
            vmodtool: PathBuf::from(variable(package, "vmodtool")),
            vsctool: PathBuf::from(variable(package, "vsctool")),
            python: "python3",
        };
        if Command::new(server.python).arg("--version").output().is_err() {
            fail("python3 is missing, which runs the server's vmodtool: install `python3` (or run `make deps`)");
        }
        // These two change with every release of the server and with nothing else.
        for header in ["vmod_abi.h", "vrt.h"] {
            println!("cargo:rerun-if-changed={}", server.include.join(header).display());
        }
        server
    }

    /// A C compiler set up for the server's headers. Everything is hidden: only the module's own
    /// symbol may leave the shared object.
    pub fn cc(&self) -> cc::Build {
        let mut cc = cc::Build::new();
        cc.include(&self.include)
            .std("gnu11")
            .warnings(true)
            .extra_warnings(false)
            .flag("-Werror=implicit-function-declaration")
            .flag("-Werror=incompatible-pointer-types")
            .flag("-fvisibility=hidden")
            .pic(true);
        // The server's assertions name their file: not by the folder that it was built in, so that a module is the same from any.
        if let Some(out) = env::var_os("OUT_DIR") {
            cc.flag_if_supported(format!("-ffile-prefix-map={}=", out.display()));
        }
        cc
    }

    /// Links what is built with the server's library for programs that read its log and counters.
    pub fn link(&self) {
        let answer = Command::new("pkg-config").arg("--libs").arg(self.package).output();
        let flags = answer.map(|answer| String::from_utf8_lossy(&answer.stdout).into_owned()).unwrap_or_default();
        let mut libraries = 0;
        for flag in flags.split_whitespace() {
            if let Some(folder) = flag.strip_prefix("-L") {
                println!("cargo:rustc-link-search=native={folder}");
            } else if let Some(library) = flag.strip_prefix("-l") {
                println!("cargo:rustc-link-lib={library}");
                libraries += 1;
            }
        }
        if libraries == 0 {
            fail(&format!("{}.pc names no library: its development package is broken, install it again", self.package));
        }
    }

    /// Runs the server's vmodtool on `vcc`; `vcc_<name>_if.c` and `.h` appear in `out`.
    pub(crate) fn vmodtool(&self, vcc: &Path, name: &str, out: &Path) {
        let mut tool = Command::new(self.python);
        tool.arg(&self.vmodtool).arg("--strict").arg("-w").arg(out);
        tool.arg("-o").arg(format!("vcc_{name}_if")).arg(vcc).current_dir(out);
        run(tool, "vmodtool");
    }

    /// Runs the server's vsctool on a `.vsc` text; `VSC_<set>.c` and `.h` appear in `out`.
    ///
    /// Vinyl Cache 9 renamed the directives; the text is written for the older servers.
    pub(crate) fn vsctool(&self, set: &str, text: &str, out: &Path) {
        let tool_text = read(&self.vsctool);
        let text = match tool_text.contains("vinyl_vsc_begin::") {
            true => text.replace(".. varnish_vsc", ".. vinyl_vsc"),
            false => text.to_owned(),
        };
        let file = out.join(format!("{set}.vsc"));
        if let Err(error) = std::fs::write(&file, text) {
            fail(&format!("cannot write {}: {error}", file.display()));
        }
        let mut tool = Command::new(self.python);
        tool.arg(&self.vsctool).arg("-ch").arg(&file).current_dir(out);
        run(tool, "vsctool");
    }
}

/// Reads a text file or ends the build.
pub(crate) fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| fail(&format!("cannot read {}: {error}", path.display())))
}

fn exists(package: &str) -> bool {
    Command::new("pkg-config").args(["--exists", package]).status().is_ok_and(|status| status.success())
}

fn variable(package: &str, name: &str) -> String {
    let answer = Command::new("pkg-config").arg(format!("--variable={name}")).arg(package).output();
    let value = answer.map(|answer| String::from_utf8_lossy(&answer.stdout).trim().to_owned()).unwrap_or_default();
    if value.is_empty() {
        fail(&format!("{package}.pc does not say `{name}`: its development package is broken, install it again"));
    }
    value
}

fn run(mut tool: Command, name: &str) {
    match tool.output() {
        Ok(answer) if answer.status.success() => {}
        Ok(answer) => fail(&format!("{name} failed: {}", String::from_utf8_lossy(&answer.stderr).trim())),
        Err(error) => fail(&format!("{name} could not be started: {error}")),
    }
}
