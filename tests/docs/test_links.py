# SPDX-License-Identifier: BSD-2-Clause
"""Links between the documents, and the README's table of tasks: files, headings and chapters are there, and ten tasks have their example and chapter."""

import re
import unittest
from pathlib import Path

from . import ROOT

DOCUMENTS = ("README.md", "CONTRIBUTING.md", "SECURITY.md", "CHANGELOG.md", "contrib/prometheus/README.md")
LINK = re.compile(r"\[([^][]*)\]\(([^()\s]+)\)")
TASKS = (
    "report responses 5xx", "find out why a fetch failed", "protect a quota", "keep secrets on the machine", "lose nothing while Sentry is away",
    "take a bad backend out for one object", "serve an old copy instead of an error", "get the errors in browsers past ad blockers", "watch without touching VCL", "see it in Grafana, and be told",
)  # fmt: skip


def prose(file: Path) -> str:
    """A document without its blocks of code."""
    return re.sub(r"^```.*?^```", "", file.read_text(), flags=re.MULTILINE | re.DOTALL)


def headings(file: Path) -> set[str]:
    """The headings of a document, in Markdown or reStructuredText."""
    text = prose(file)
    if file.suffix == ".md":
        return set(re.findall(r"^#+ (.+)$", text, re.MULTILINE))
    return {title for title, rule in re.findall(r"^(\S.*)\n([=\-~]{3,})$", text, re.MULTILINE) if len(rule) >= len(title)}


def anchor(heading: str) -> str:
    """What GitHub calls the place of a heading."""
    return re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")


def functions(file: Path) -> set[str]:
    """What a .vcc declares, as it is spoken of."""
    return {f"{name}()" for name in re.findall(r"^\$(?:Function|Method) \w+ \.?(\w+)\(", file.read_text(), re.MULTILINE)}


class Links(unittest.TestCase):
    def test_each_link_leads_to_a_file_and_a_heading(self) -> None:
        found = 0
        for name in DOCUMENTS:
            for text, target in LINK.findall(prose(ROOT / name)):
                if re.match(r"https?:", target):
                    continue
                path, _, place = target.partition("#")
                file = (ROOT / name).parent / path if path else ROOT / name
                found += 1
                with self.subTest(f"[{text}]({target}) in {name}"):
                    self.assertTrue(file.exists())
                    if place:
                        self.assertIn(place, {anchor(heading) for heading in headings(file)})
        self.assertGreater(found, 40)

    def test_each_task_has_its_example_and_chapter(self) -> None:
        rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", prose(ROOT / "README.md").partition("## I want to …")[2].partition("\n## ")[0], re.MULTILINE)
        self.assertEqual(tuple(task for task, _, _ in rows), TASKS)
        for task, example, chapter in rows:
            examples, chapters = LINK.findall(example), LINK.findall(chapter)
            with self.subTest(task):
                self.assertTrue(all(target.startswith(("examples/", "contrib/")) for _, target in examples) and examples, example)
                self.assertTrue(chapters)
                for name, target in chapters:
                    manual = ROOT / target.partition("#")[0]
                    self.assertIn(name, headings(manual) | functions(manual))
                # What an example is said to show is called in it.
                for call in re.findall(r"\[[^][]+\]\((\S+)\): ((?:`[^`]+`(?:, )?)+)", example):
                    text = (ROOT / call[0]).read_text()
                    self.assertEqual([word for word in re.findall(r"`([^`]+?)(?:\(\))?`", call[1]) if not re.search(rf"\b{word}\b", text)], [])
