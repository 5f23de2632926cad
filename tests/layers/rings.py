# SPDX-License-Identifier: BSD-2-Clause
"""Rings of files: files that know each other, however long the way round is.

Files are nodes, except a lib.rs or mod.rs that only declares and re-exports. Edges are all paths within the package, in a
`use` or written out, outside of tests; a re-export leads to the file behind it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from layers.modules import STARTS, Module, Package, look_up, names_in, read_package, target_of

# To where, the path as it is written, its line.
Edges = dict[Path, dict[Path, tuple[str, int]]]


@dataclass(frozen=True)
class Ring:
    files: tuple[Path, ...]
    edges: Edges

    def told(self, base: Path) -> str:
        """The files, and each edge between two of them with the first place that makes it."""
        lines = ["ring of " + ", ".join(str(file.relative_to(base)) for file in self.files)]
        for file in self.files:
            for to, (path, line) in sorted(self.edges[file].items()):
                if to in self.files:
                    lines.append(f"  {file.relative_to(base)}:{line} -> {to.relative_to(base)}  by {path}")
        return "\n".join(lines)


def check(root_file: Path) -> tuple[list[Ring], list[Path]]:
    """The rings of a package, and files of it that are in no module: of those nothing is known."""
    package = read_package(root_file)
    edges = edges_of(package)
    rings = [Ring(tuple(sorted(files)), edges) for files in components(edges) if len(files) > 1]
    # A program beside the library is above all of it: nothing of that can lead there.
    program = root_file.with_name("main.rs")
    known = {module.file for module in package.root.all()} | package.tests | {program}
    unknown = [file for file in sorted(root_file.parent.rglob("*.rs")) if not (file in known or is_of_tests(file))]
    return sorted(rings, key=lambda ring: ring.files), unknown


def is_of_tests(file: Path) -> bool:
    return file.name == "tests.rs" or file.parent.name == "tests"


def edges_of(package: Package) -> Edges:
    edges: Edges = {}
    for module in package.root.all():
        if module.file in package.plain:
            # No way leads on from there: paths through it were followed to their end.
            continue
        known = edges.setdefault(module.file, {})
        for to, path, line in uses(module):
            if to != module.file:
                known.setdefault(to, (path, line))
    return edges


def uses(module: Module) -> Iterator[tuple[Path, str, int]]:
    """The files that a module's paths lead to."""
    for each in module.imports:
        target = target_of(each.path, module)
        if not target:
            continue
        path = "::".join(each.path)
        yield target.module.file, path if each.name else f"{path}::*", each.line
        if each.name is None and target.is_module:
            # Of what a glob brings along from elsewhere that counts which is made use of.
            for name in names_in(target.module) & module.words:
                if found := look_up(name, target.module, frozenset()):
                    yield found.module.file, f"{path}::* ({name})", each.line
    for path, line in module.paths:
        if path[0] in STARTS or names_module(path[0], module):
            if target := target_of(path, module):
                yield target.module.file, "::".join(path), line


def names_module(name: str, module: Module) -> bool:
    """Whether a path that begins with `name` goes on in a module of the package."""
    found = look_up(name, module, frozenset())
    return bool(found and found.is_module)


def components(edges: Edges) -> list[set[Path]]:
    """Strongly connected components, by Tarjan's algorithm."""
    number: dict[Path, int] = {}
    low: dict[Path, int] = {}
    stack: list[Path] = []
    found: list[set[Path]] = []

    def visit(file: Path) -> None:
        number[file] = low[file] = len(number)
        stack.append(file)
        for to in edges.get(file, {}):
            if to not in number:
                visit(to)
                low[file] = min(low[file], low[to])
            elif to in stack:
                low[file] = min(low[file], number[to])
        if low[file] == number[file]:
            place = stack.index(file)
            found.append(set(stack[place:]))
            del stack[place:]

    for file in edges:
        if file not in number:
            visit(file)
    return found
