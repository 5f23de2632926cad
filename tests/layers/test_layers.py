# SPDX-License-Identifier: BSD-2-Clause
"""Rings and arrows made on purpose, in packages of a few lines."""

import tempfile
import unittest
from pathlib import Path

from layers import crates, rings
from layers.tokens import tokens, without_tests


def lib(*names: str) -> str:
    return "".join(f"mod {name};\n" for name in names)


class Tree(unittest.TestCase):
    """A folder with the files that a test writes."""

    def setUp(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="layers-")
        self.addCleanup(folder.cleanup)
        self.root = Path(folder.name)

    def write(self, files: dict[str, str]) -> None:
        for name, text in files.items():
            file = self.root / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(text)


class Rings(Tree):
    def check(self, files: dict[str, str]) -> list[str]:
        """The rings, each as the names of its files."""
        self.write({f"src/{name}": text for name, text in files.items()})
        self.found, self.unknown = rings.check(self.root / "src" / "lib.rs")
        return [" ".join(str(file.relative_to(self.root / "src")) for file in ring.files) for ring in self.found]

    def test_two_files_that_use_each_other_are_a_ring(self) -> None:
        for path in ("crate::b::B", "super::b::B", "self::super::b::B", "crate::b::{self, B as C}", "crate::{b::B, d}", "crate::b::*"):
            with self.subTest(path):
                files = {"lib.rs": lib("a", "b", "d"), "d.rs": "pub struct D;"}
                files |= {"a.rs": f"use {path};\npub struct A;\n", "b.rs": "pub struct B(crate::a::A);\n"}
                self.assertEqual(self.check(files), ["a.rs b.rs"])

    def test_one_way_is_no_ring(self) -> None:
        files = {"lib.rs": lib("a", "b", "c"), "a.rs": "use crate::{b::B, c::C};", "b.rs": "use crate::c::C; pub struct B;"}
        self.assertEqual(self.check({**files, "c.rs": "pub struct C;"}), [])

    def test_a_long_way_round_is_a_ring_and_its_edges_are_named(self) -> None:
        names = ["a", "b", "c", "d"]
        files = {f"{one}.rs": f"\n\nfn f() {{ crate::{next_}::f() }}" for one, next_ in zip(names, [*names[1:], "a"])}
        self.assertEqual(self.check({"lib.rs": lib(*names), **files}), ["a.rs b.rs c.rs d.rs"])
        told = self.found[0].told(self.root / "src").splitlines()
        self.assertEqual(told[0], "ring of a.rs, b.rs, c.rs, d.rs")
        self.assertEqual(told[1], "  a.rs:3 -> b.rs  by crate::b::f")
        self.assertEqual(len(told), 5)

    def test_what_only_tests_need_is_no_edge(self) -> None:
        for tests in (
            "#[cfg(test)]\nmod tests {\n    use crate::a::A;\n    fn f() { crate::a::f() }\n}",
            "#[cfg(test)]\nuse crate::a::A;",
            "#[cfg(test)]\npub(crate) fn f() -> crate::a::A { crate::a::A }",
            "#[cfg(all(test, unix))]\n#[allow(dead_code)]\nconst A: crate::a::A = crate::a::A { a: 1 };",
            "#[cfg(test)]\nstatic N: usize = { 1 } + crate::a::N;",
            "struct S { #[cfg(test)] a: crate::a::A, b: u8 }",
            "fn f(n: u8) { match n { #[cfg(test)] 1 => crate::a::f(), _ => {} } }",
            "#[cfg(test)]\nmod tests;",
            "#[cfg(test)]\nmod model;",
        ):
            with self.subTest(tests):
                files = {"lib.rs": lib("a", "b"), "a.rs": "use crate::b::B; pub struct A;", "b.rs": f"pub struct B;\n{tests}"}
                uses_a = "use crate::a::A;"
                self.assertEqual(self.check({**files, "b/tests.rs": uses_a, "b/tests/more.rs": uses_a, "b/model.rs": uses_a}), [])

    def test_behind_what_only_tests_need_edges_count_again(self) -> None:
        for tests in (
            "#[cfg(test)]\nuse std::{fmt, io};\n",
            "#[cfg(test)]\nconst N: [u8; 2] = { [1, 2] };\n",
            "#[cfg(test)]\nconst fn f<A, B>(a: A, b: B) -> u8 { 1 }\n",
            "#[cfg(test)]\nstruct S<A, B>(A, B);\n",
            "#[cfg(not(test))]\n",
            "#[cfg(any(test, unix))]\n",
        ):
            with self.subTest(tests):
                files = {"lib.rs": lib("a", "b"), "a.rs": "use crate::b::B; pub struct A;"}
                self.assertEqual(self.check({**files, "b.rs": f"{tests}use crate::a::A;\npub struct B;"}), ["a.rs b.rs"])

    def test_texts_and_comments_say_nothing(self) -> None:
        for text in (
            "/// [`A`](crate::a::A)",
            "/* /* */ crate::a::A */",
            'const T: &str = "\\" crate::a::A";',
            'const T: &[u8] = br#"" crate::a::A "#;',
            "const Q: char = '\"'; // crate::a::A",
            "#[doc = crate::a::A]",
            "pub(in crate::a) struct C;",
        ):
            with self.subTest(text):
                files = {"lib.rs": lib("a", "b"), "a.rs": "use crate::b::B; pub struct A;", "b.rs": f"{text}\npub struct B;"}
                self.assertEqual(self.check(files), [])

    def test_lifetimes_and_quotes_hide_no_path(self) -> None:
        b = "pub struct B<'a>(&'a str); const Q: [char; 2] = ['\\'', '\"']; fn f<'b>(b: &'b crate::a::A) {}"
        self.assertEqual(self.check({"lib.rs": lib("a", "b"), "a.rs": "use crate::b::B; pub struct A;", "b.rs": b}), ["a.rs b.rs"])

    def test_a_reexport_leads_to_the_file_behind_it(self) -> None:
        # Over two plain files and another name; the third file is no part of the ring.
        files = {
            "lib.rs": "mod a;\nmod f;\npub use f::Outer;\n",
            "f/mod.rs": "mod b;\nmod c;\npub(crate) use b::B as Outer;\npub use self::c::*;\n",
            "f/b.rs": "pub struct B(crate::a::A);",
            "f/c.rs": "pub struct C;",
        }
        for path in ("crate::Outer", "crate::f::Outer", "super::f::{C, Outer}", "crate::*"):
            with self.subTest(path):
                a = f"use {path};\npub struct A(Outer);"
                self.assertEqual(self.check({**files, "a.rs": a}), ["a.rs f/b.rs"])
        for path in ("crate::f::C", "crate::f", "crate::f::*"):
            with self.subTest(path):
                self.assertEqual(self.check({**files, "a.rs": f"use {path};\npub struct A(C);"}), [])

    def test_a_glob_of_a_plain_file_leads_to_what_is_made_use_of(self) -> None:
        files = {"lib.rs": lib("a", "f"), "f/mod.rs": "mod c;\npub use c::*;", "f/c.rs": "pub struct C(crate::a::A);"}
        self.assertEqual(self.check({**files, "a.rs": "use crate::f;\npub struct A; fn f() { f::c() }"}), [])
        self.assertEqual(self.check({**files, "a.rs": "use crate::f;\npub struct A(f::C);"}), ["a.rs f/c.rs"])

    def test_a_plain_file_is_in_no_ring(self) -> None:
        files = {"lib.rs": lib("f"), "f/mod.rs": "mod a;\nmod b;\npub use a::A;\npub use b::B;", "f/b.rs": "pub struct B;"}
        for path in ("super::B", "super::*", "crate::f", "crate::f::{self, B}"):
            with self.subTest(path):
                self.assertEqual(self.check({**files, "f/a.rs": f"use {path};\npub struct A(B);"}), [])

    def test_a_mod_rs_with_code_in_it_is_a_node(self) -> None:
        files = {"lib.rs": lib("f"), "f/a.rs": "use super::limit;"}
        self.assertEqual(self.check({**files, "f/mod.rs": "mod a;\npub use a::A;"}), [])
        self.assertEqual(self.check({**files, "f/mod.rs": "mod a;\npub use a::A;\nfn limit() {}"}), ["f/a.rs f/mod.rs"])

    def test_parent_and_child_are_a_ring_whichever_way_the_child_is_named(self) -> None:
        for path in ("child::C", "self::child::C", "crate::a::child::C"):
            with self.subTest(path):
                files = {"lib.rs": lib("a"), "a.rs": f"mod child;\nuse {path};\npub struct A;", "a/child.rs": "use super::A;\npub struct C;"}
                self.assertEqual(self.check(files), ["a/child.rs a.rs"])

    def test_modules_within_a_file_are_of_that_file(self) -> None:
        a = "mod inner {\n    use super::super::b::B;\n    pub struct I;\n}\nuse inner::I;"
        self.assertEqual(self.check({"lib.rs": lib("a", "b"), "a.rs": a, "b.rs": "pub struct B(crate::a::inner::I);"}), ["a.rs b.rs"])

    def test_macros_count_as_where_they_are_written(self) -> None:
        a = "macro_rules! m { () => { $crate::b::f() }; }\npub(crate) use m;"
        self.assertEqual(self.check({"lib.rs": lib("a", "b"), "a.rs": a, "b.rs": "use crate::a::m;\npub fn f() {}"}), ["a.rs b.rs"])

    def test_other_crates_are_none_of_ours(self) -> None:
        a = "use b::B;\nuse ::b::C;\nuse std::fmt;\npub struct A;"
        self.assertEqual(self.check({"lib.rs": lib("a", "b"), "a.rs": a, "b.rs": "use crate::a::A;"}), [])

    def test_a_file_in_no_module_is_told(self) -> None:
        self.check({"lib.rs": "mod a;\n#[cfg(test)]\nmod tests;", "a.rs": "", "b.rs": "", "main.rs": "", "tests.rs": "", "tests/c.rs": ""})
        self.assertEqual([file.name for file in self.unknown], ["b.rs"])


class Tokens(unittest.TestCase):
    def test_lines_are_those_of_the_file(self) -> None:
        code = tokens('// one\n/* two\n */ a "three\n" b\n\n::c r#type')
        self.assertEqual([(token.text, token.line) for token in code], [("a", 3), ('""', 3), ("b", 4), ("::", 6), ("c", 6), ("type", 6)])

    def test_a_file_for_tests_alone_is_left_out_whole(self) -> None:
        self.assertEqual(without_tests(tokens("#![cfg(test)]\nuse crate::a;"))[0], [])


class Arrows(Tree):
    def check(self, **manifests: str) -> dict[str, list[str]]:
        """The problems of those that have some."""
        self.write({"Cargo.toml": '[package]\nname = "vmod-sentry"\n[dependencies]\nevent.path = "crates/event"\n'})
        self.write({f"crates/{name}/Cargo.toml": f'[package]\nname = "{name}"\n{text}' for name, text in manifests.items()})
        return {name: told for name, told in crates.problems(crates.read_crates(self.root)).items() if told}

    def test_each_knows_what_is_below_it(self) -> None:
        below = '[dependencies]\nserde = "1"\nprotocol = { path = "../protocol" }'
        self.assertEqual(self.check(protocol="", event=below, delivery=below), {})

    def test_what_knows_one_beside_or_above_it_is_told(self) -> None:
        found = self.check(
            protocol='[build-dependencies]\nother = { package = "event", path = "../event" }',
            event='[target."cfg(unix)".dependencies]\ndelivery.path = "../delivery"',
            delivery='[dependencies]\nvmod-sentry.path = "../.."\n[dev-dependencies]\nevent.path = "../event"',
        )
        expected = {
            "protocol": ["protocol must not know event"],
            "event": ["event must not know delivery"],
            "delivery": ["delivery knows vmod-sentry, which is glue"],
        }
        self.assertEqual(found, expected)

    def test_a_crate_that_nobody_has_placed_is_told(self) -> None:
        self.assertEqual(self.check(novel=""), {"novel": ["novel has no place in MAY_KNOW of tests/layers/crates.py"]})
