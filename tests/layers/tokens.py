# SPDX-License-Identifier: BSD-2-Clause
"""Rust as a list of tokens, without comments and texts, and without what is compiled for tests alone."""

import re
from dataclasses import dataclass

TOKEN = re.compile(
    r"""
    (?P<comment>//[^\n]*)
    | (?P<block>/\*)
    | (?P<raw>\b[bc]?r(?P<fence>\#*)".*?"(?P=fence))
    | (?P<text>\b[bc]?"(?:\\.|[^"\\])*" | "(?:\\.|[^"\\])*")
    | (?P<char>\bb?'(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'\n])' | '(?:\\(?:x..|u\{[^}]*\}|.)|[^\\'\n])')
    | (?P<lifetime>'[A-Za-z_]\w*)
    | (?P<word>(?:r\#)?[^\W\d]\w*)
    | (?P<number>\d\w*)
    | (?P<mark>::|\S)
    """,
    re.VERBOSE | re.DOTALL,
)
BLOCK_EDGE = re.compile(r"/\*|\*/")
OPEN = {"(": ")", "[": "]", "{": "}"}
CLOSE = set(OPEN.values())
# Items with a semicolon at their end, whatever is in front of it.
STATEMENTS = {"use", "static", "type", "let", "const"}
ITEMS = STATEMENTS | {"fn", "mod", "struct", "enum", "union", "trait", "impl", "unsafe", "extern", "async", "macro_rules"}


@dataclass(frozen=True, slots=True)
class Token:
    """A word or a mark; what a text says is left out."""

    text: str
    line: int

    @property
    def is_word(self) -> bool:
        return self.text[0].isalpha() or self.text[0] == "_"


def tokens(source: str) -> list[Token]:
    """All tokens of a file."""
    found, line, counted, at = [], 1, 0, 0
    while match := TOKEN.search(source, at):
        kind, at = match.lastgroup, match.end()
        if kind == "block":
            at = block_end(source, at)
        elif kind not in ("comment", "lifetime"):
            line += source.count("\n", counted, match.start())
            counted = match.start()
            text = match.group()
            if kind in ("raw", "text", "char"):
                text = '""'
            found.append(Token(text.removeprefix("r#"), line))
    return found


def block_end(source: str, at: int) -> int:
    """Behind a comment that may hold others."""
    depth = 1
    while depth and (edge := BLOCK_EDGE.search(source, at)):
        depth += 1 if edge.group() == "/*" else -1
        at = edge.end()
    return len(source) if depth else at


def closing(code: list[Token], at: int) -> int:
    """The place of what closes the bracket at `at`, or the end."""
    depth = 0
    for place in range(at, len(code)):
        if code[place].text in OPEN:
            depth += 1
        elif code[place].text in CLOSE:
            depth -= 1
            if not depth:
                return place
    return len(code)


def is_for_tests(attribute: list[Token]) -> bool:
    """Whether `cfg(…)` asks for tests: by itself, or by all of several conditions."""
    words = [token.text for token in attribute]
    if words[:2] != ["cfg", "("]:
        return False
    return asks_for_tests(words[2:-1])


def asks_for_tests(condition: list[str]) -> bool:
    if condition[:2] != ["all", "("]:
        return condition == ["test"]
    depth, part, parts = 0, [], []
    for word in condition[2:-1]:
        if word == "," and not depth:
            parts.append(part)
            part = []
            continue
        depth += (word in OPEN) - (word in CLOSE)
        part.append(word)
    return any(asks_for_tests(part) for part in [*parts, part])


def without_tests(code: list[Token]) -> tuple[list[Token], list[Token]]:
    """The tokens without items that are compiled for tests alone, and those items' tokens."""
    kept: list[Token] = []
    left_out: list[Token] = []
    at = 0
    while at < len(code):
        if code[at].text != "#":
            kept.append(code[at])
            at += 1
            continue
        is_inner = at + 1 < len(code) and code[at + 1].text == "!"
        opening = at + 1 + is_inner
        if opening >= len(code) or code[opening].text != "[":
            kept.append(code[at])
            at += 1
            continue
        end = closing(code, opening)
        for_tests = is_for_tests(code[opening + 1 : end])
        if for_tests and is_inner:
            # All of the file.
            return [], code
        if not for_tests:
            # What stands in an attribute is no path of ours.
            at = end + 1
            continue
        begin, at = at, item_end(code, end + 1)
        left_out += code[begin:at]
    return kept, left_out


def item_end(code: list[Token], at: int) -> int:
    """Behind the item, field, arm or statement that begins at `at`, further attributes included."""
    while at + 1 < len(code) and code[at].text == "#" and code[at + 1].text == "[":
        at = closing(code, at + 1) + 1
    first = at
    if at < len(code) and code[at].text == "pub":
        first = closing(code, at + 1) + 1 if at + 1 < len(code) and code[at + 1].text == "(" else at + 1
    word = code[first].text if first < len(code) else ""
    second = code[first + 1].text if first + 1 < len(code) else ""
    is_statement = word in STATEMENTS and not (word == "const" and second in ("fn", "unsafe", "extern", "async"))
    is_item = word in ITEMS
    while at < len(code):
        text = code[at].text
        if text == ";":
            return at + 1
        if text == "," and not is_item:
            return at + 1
        if text in CLOSE:
            return at
        if text in OPEN:
            at = closing(code, at)
            if text == "{" and not is_statement:
                return at + 1
        at += 1
    return at
