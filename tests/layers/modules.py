# SPDX-License-Identifier: BSD-2-Clause
"""The modules of a package, and which file a path leads to."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from layers.tokens import Token, closing, tokens, without_tests

STARTS = {"crate", "self", "super"}
DEFINES = {"fn", "struct", "enum", "union", "trait", "type", "const", "static", "macro_rules"}


@dataclass(frozen=True)
class Import:
    """One name of a `use`; a glob has none."""

    path: tuple[str, ...]
    name: str | None
    line: int


@dataclass(eq=False)
class Module:
    """A module, in a file of its own or within one."""

    name: str
    file: Path
    parent: "Module | None"
    # Where the files of its children are.
    folder: Path
    children: dict[str, "Module"] = field(default_factory=dict)
    imports: list[Import] = field(default_factory=list)
    paths: list[tuple[tuple[str, ...], int]] = field(default_factory=list)
    items: set[str] = field(default_factory=set)
    words: set[str] = field(default_factory=set)

    @property
    def root(self) -> "Module":
        return self.parent.root if self.parent else self

    def all(self) -> Iterator["Module"]:
        yield self
        for child in self.children.values():
            yield from child.all()


@dataclass
class Package:
    root: Module
    # lib.rs and mod.rs that only declare and re-export.
    plain: set[Path]
    # Files that belong to tests.
    tests: set[Path]


def read_package(root_file: Path) -> Package:
    """Reads a package from its lib.rs on."""
    root = Module("crate", root_file, None, root_file.parent)
    package = Package(root, set(), set())
    read_file(root, package)
    return package


def read_file(module: Module, package: Package) -> None:
    code, tests = without_tests(tokens(module.file.read_text()))
    reader = Reader(package, module.file)
    reader.read(code, module)
    for name in test_modules(tests):
        note_tests(child_file(module.folder, name), package)
    if module.file.name in ("lib.rs", "mod.rs") and not reader.has_more:
        package.plain.add(module.file)


def test_modules(code: list[Token]) -> list[str]:
    return [b.text for a, b, c in zip(code, code[1:], code[2:]) if a.text == "mod" and c.text == ";"]


def note_tests(file: Path | None, package: Package) -> None:
    """A file for tests, and all below it."""
    if file and file not in package.tests:
        package.tests.add(file)
        folder = file.parent if file.name == "mod.rs" else file.with_suffix("")
        package.tests.update(folder.rglob("*.rs"))


def child_file(folder: Path, name: str) -> Path | None:
    return next((file for file in (folder / f"{name}.rs", folder / name / "mod.rs") if file.exists()), None)


class Reader:
    """Goes through the tokens of one file."""

    def __init__(self, package: Package, file: Path) -> None:
        self.package = package
        self.file = file
        # Whether there is something else than declarations of modules and `use`.
        self.has_more = False

    def read(self, code: list[Token], module: Module) -> None:
        at = depth = 0
        while at < len(code):
            text = code[at].text
            depth += (text == "{") - (text == "}")
            after = code[at + 1].text if at + 1 < len(code) else ""
            if text == "pub":
                # `pub(in crate::a)` says who may, not what is needed.
                at = closing(code, at + 1) + 1 if says_who(code[at + 1 : at + 4]) else at + 1
            elif text == "use" and (at == 0 or code[at - 1].text not in (":", "+", "&")):
                end = next((place for place in range(at, len(code)) if code[place].text == ";"), len(code))
                self.read_use(code[at + 1 : end], module)
                at = end + 1
            elif text == "mod" and at + 2 < len(code) and code[at + 2].text == ";":
                self.add_file(after, module)
                at += 3
            elif text == "mod" and at + 2 < len(code) and code[at + 2].text == "{":
                end = closing(code, at + 2)
                child = Module(after, self.file, module, module.folder / after)
                module.children[after] = child
                self.has_more = True
                self.read(code[at + 3 : end], child)
                at = end + 1
            else:
                self.has_more = True
                at = self.read_other(code, at, module, is_outside=not depth)

    def read_other(self, code: list[Token], at: int, module: Module, is_outside: bool) -> int:
        token = code[at]
        if not token.is_word:
            return at + 1
        before = code[at - 1].text if at else ""
        if token.text in DEFINES:
            name = at + (2 if token.text == "macro_rules" else 1)
            if is_outside and name < len(code) and code[name].is_word:
                # Not a method of its: that is no name of the module's.
                module.items.add(code[name].text)
            return at + 1
        module.words.add(token.text)
        path = [token.text]
        while at + 2 < len(code) and code[at + 1].text == "::" and code[at + 2].is_word:
            path.append(code[at + 2].text)
            at += 2
        if len(path) > 1 and before != "::":
            module.words.update(path)
            module.paths.append((tuple(path), token.line))
        return at + 1

    def read_use(self, code: list[Token], module: Module) -> None:
        if code and code[0].text == "::":
            # From another crate.
            return
        self.read_tree(code, (), module)

    def read_tree(self, code: list[Token], prefix: tuple[str, ...], module: Module) -> None:
        path = prefix
        at = 0
        while at < len(code):
            text, line = code[at].text, code[at].line
            if text == "{":
                for part in split(code[at + 1 : closing(code, at)]):
                    self.read_tree(part, path, module)
                return
            if text == "*":
                module.imports.append(Import(path, None, line))
                return
            if text == "as":
                module.imports.append(Import(path, code[at + 1].text, line))
                return
            if code[at].is_word and not (text == "self" and path):
                path = (*path, text)
            at += 1
        if path:
            module.imports.append(Import(path, path[-1], code[0].line))

    def add_file(self, name: str, module: Module) -> None:
        file = child_file(module.folder, name)
        if name == "tests":
            note_tests(file, self.package)
        elif file:
            folder = file.parent if file.name == "mod.rs" else file.with_suffix("")
            child = Module(name, file, module, folder)
            module.children[name] = child
            read_file(child, self.package)


def says_who(code: list[Token]) -> bool:
    """Whether what is behind `pub` begins `(crate)`, `(super)`, `(self)` or `(in …`."""
    texts = [token.text for token in code]
    return texts[:2] == ["(", "in"] or len(texts) == 3 and texts[0] == "(" and texts[1] in STARTS and texts[2] == ")"


def split(code: list[Token]) -> list[list[Token]]:
    """What commas divide, but those in braces."""
    parts: list[list[Token]] = [[]]
    depth = 0
    for token in code:
        depth += (token.text == "{") - (token.text == "}")
        if token.text == "," and not depth:
            parts.append([])
        else:
            parts[-1].append(token)
    return [part for part in parts if part]


@dataclass(frozen=True, eq=False)
class Target:
    """What a path leads to: a module, or something that is in one."""

    module: Module
    is_module: bool


def target_of(path: tuple[str, ...], module: Module, seen: frozenset = frozenset()) -> Target | None:
    """Follows a path as it is written in `module`; `None` if it leads out of the package, or to a local name."""
    key = (path, module)
    if key in seen:
        return None
    seen |= {key}
    first, *rest = path
    if first == "crate":
        at = Target(module.root, True)
    elif first in ("self", "super"):
        start = module if first == "self" else module.parent
        while start and rest and rest[0] == "super":
            rest.pop(0)
            start = start.parent
        if not start:
            return None
        at = Target(start, True)
    else:
        found = look_up(first, module, seen)
        if not found:
            return None
        at = found
    for name in rest:
        if not at.is_module:
            break
        at = look_up(name, at.module, seen) or Target(at.module, False)
    return at


def look_up(name: str, module: Module, seen: frozenset) -> Target | None:
    """What `name` is in `module`: a re-export is what is behind it."""
    if name in module.children:
        return Target(module.children[name], True)
    if name in module.items:
        return Target(module, False)
    for each in module.imports:
        if each.name == name and (found := target_of(each.path, module, seen)):
            return found
    for each in module.imports:
        if each.name is None and (source := target_of(each.path, module, seen)) and source.is_module:
            key = ((name, "*"), source.module)
            if key not in seen and (found := look_up(name, source.module, seen | {key})):
                return found
    return None


def names_in(module: Module) -> set[str]:
    """The names that a glob brings along from elsewhere."""
    return {each.name for each in module.imports if each.name}
