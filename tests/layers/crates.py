# SPDX-License-Identifier: BSD-2-Clause
"""Which crate may know which: by the manifests, for what is compiled into the modules and the daemon or at build time."""

import tomllib
from dataclasses import dataclass
from pathlib import Path

# Of each crate that is no glue the crates of ours that it may know. The glue may know all of them.
MAY_KNOW: dict[str, set[str]] = {
    "protocol": set(),
    "privacy": {"protocol"},
    "event": {"privacy", "protocol"},
    "delivery": {"privacy", "protocol"},
    "tunnel": {"delivery", "event", "privacy", "protocol"},
    "settings": {"delivery", "event", "privacy", "protocol", "tunnel"},
    "client": {"delivery", "event", "protocol", "settings"},
    "denylist": set(),
    "transaction": set(),
    "vmod-build": set(),
    "shim": {"vmod-build"},
    "vapi": {"transaction", "vmod-build"},
}


@dataclass(frozen=True)
class Crate:
    name: str
    folder: Path
    knows: frozenset[str]
    is_glue: bool

    @property
    def root_file(self) -> Path:
        library = self.folder / "src" / "lib.rs"
        return library if library.exists() else library.with_name("main.rs")


def read_crates(root: Path) -> list[Crate]:
    """The packages of the workspace: the glue first, then the crates by name."""
    folders = [root, root / "saintmode", root / "varnishsentry"]
    folders += sorted(manifest.parent for manifest in (root / "crates").glob("*/Cargo.toml"))
    return [read_crate(folder, folder.parent != root / "crates") for folder in folders if (folder / "Cargo.toml").exists()]


def read_crate(folder: Path, is_glue: bool) -> Crate:
    manifest = tomllib.loads((folder / "Cargo.toml").read_text())
    tables = [manifest, *manifest.get("target", {}).values()]
    knows: set[str] = set()
    for table in tables:
        for kind in ("dependencies", "build-dependencies"):
            for name, wanted in table.get(kind, {}).items():
                knows.add(wanted.get("package", name) if isinstance(wanted, dict) else name)
    return Crate(manifest["package"]["name"], folder, frozenset(knows), is_glue)


def problems(crates: list[Crate]) -> dict[str, list[str]]:
    """By each crate what it knows and must not."""
    ours = {crate.name for crate in crates}
    glue = {crate.name for crate in crates if crate.is_glue}
    found: dict[str, list[str]] = {}
    for crate in crates:
        known = crate.knows & ours
        told = [f"{crate.name} knows {name}, which is glue" for name in sorted(known & glue)]
        if not crate.is_glue:
            if crate.name not in MAY_KNOW:
                told.append(f"{crate.name} has no place in MAY_KNOW of tests/layers/crates.py")
            else:
                above = known - glue - MAY_KNOW[crate.name]
                told += [f"{crate.name} must not know {name}" for name in sorted(above)]
        found[crate.name] = told
    return found
