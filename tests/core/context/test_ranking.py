"""Which file comes first, for each sign that speaks for one."""

import pytest

from scalix_callbacks.core.context.files import read_files
from scalix_callbacks.core.context.imports import Paths, imports_of
from scalix_callbacks.core.context.ranking import Mode, Said, rank
from scalix_callbacks.core.context.slices import finish
from scalix_callbacks.core.context.talk import said_in
from scalix_callbacks.core.context.words import parts, terms

PROJECT = {
    "README.md": "A shop.\n",
    "src/App.tsx": "import { Cart } from './components/Cart'\nexport default function App() { return 0 }\n",
    "src/components/Cart.tsx": "import { totalOf } from '@/lib/money'\nexport function Cart() {}\n",
    "src/lib/money.ts": "export function totalOf(items: Item[]) { return 0 }\n",
    "src/lib/dates.ts": "export function formatDate(d: Date) { return '' }\n",
    "src/pages/Login.tsx": "export function Login() { /* password, email, session */ }\n",
}


def ranked(request: str, mode: Mode = Mode.BALANCED, project=PROJECT) -> list[str]:
    files = finish(read_files([{"path": p, "content": c} for p, c in project.items()]))
    return [file.path for file in finish(rank(files, [Said(request, 1.0)], mode))]


@pytest.mark.parametrize(
    ("request_", "first"),
    [
        ("Change src/lib/dates.ts please.", "src/lib/dates.ts"),
        ("dates.ts is wrong", "src/lib/dates.ts"),
        ("lib/money.ts: round up", "src/lib/money.ts"),
        ("totalOf returns zero", "src/lib/money.ts"),
        ("The login page forgets me", "src/pages/Login.tsx"),
        ("Ask for the e-mail and the password again", "src/pages/Login.tsx"),
        ("format the dates as in Germany", "src/lib/dates.ts"),
    ],
)
def test_what_the_request_speaks_of_comes_first(request_, first):
    """By path, name, symbol, word of a path, word within."""
    assert first == ranked(request_)[0]


def test_what_it_imports_and_what_imports_it_come_next():
    """One step in balanced mode, two in deep mode."""
    assert {"src/App.tsx", "src/lib/money.ts"} == set(ranked("The Cart is empty")[1:3])
    assert "src/components/Cart.tsx" in ranked("look at money.ts")[1]
    chain = {"z.ts": "function zebra", "y.ts": "import './z'", "x.ts": "import './y'", "a.ts": ""}
    assert ["z.ts", "y.ts", "a.ts", "x.ts"] == ranked("The zebra", project=chain)
    assert ["z.ts", "y.ts", "x.ts", "a.ts"] == ranked("The zebra", Mode.DEEP, chain)


def test_without_any_sign_the_order_is_that_of_the_paths():
    """The same request always gets the same context."""
    assert sorted(PROJECT) == ranked("xyzzy")
    assert sorted(PROJECT) == ranked("")
    assert [] == ranked("x", project={})


def test_the_last_request_counts_most_and_answers_little():
    """What was talked about before fades; system messages are not part of the talk."""
    said = said_in(
        [
            {"role": "system", "content": "money"},
            {"role": "user", "content": "first"},
            {"role": "assistant", "content": "answer"},
            {"role": "user", "content": [{"type": "text", "text": "last"}, {"type": "image_url"}]},
        ]
    )

    assert [("last", 1.0), ("answer", 0.15), ("first", 0.5)] == [(s.text, s.weight) for s in said]


def test_of_a_long_conversation_the_end_is_looked_at():
    """However long it is."""
    said = said_in([{"role": "user", "content": "x" * 100_000}] * 50)

    assert 40_000 == sum(len(each.text) for each in said)


def test_identifiers_are_also_their_parts():
    """So that talk finds code, however it is written."""
    assert ("parsehttprequest", "pars", "http", "request") == parts("parseHTTPRequest")
    assert parts("parse_http_request")[1:] == parts("parseHTTPRequest")[1:]
    assert terms("parsing parsed parses") == {"pars": 3}


@pytest.mark.parametrize(
    ("importer", "text", "target"),
    [
        ("pkg/a.py", "from .b import x", "pkg/b.py"),
        ("pkg/a.py", "from . import b", "pkg/b.py"),
        ("pkg/sub/c.py", "from ..b import x", "pkg/b.py"),
        ("tests/test_b.py", "import pkg.b", "pkg/b.py"),
        ("tests/test_b.py", "from pkg import (b, x)", "pkg/b.py"),
        ("web/a.ts", "import x from './util'", "web/util/index.ts"),
        ("web/a.ts", "const x = require('../pkg/d.js')", "pkg/d.ts"),
        ("web/a.ts", "import x from '@/util'", "web/util/index.ts"),
        ("web/a.css", "@import url('base.css');", "web/base.css"),
        ("src/main.rs", "use crate::net::pool;", "src/net/pool.rs"),
        ("c/a.c", '#include "b.h"', "c/b.h"),
        ("pkg/a.py", "import os", None),
        ("web/a.ts", "import React from 'react'", None),
    ],
)
def test_imports_are_found_in_several_languages(importer, text, target):
    """As they are written there; libraries are not files of the project."""
    files = ["pkg/b.py", "pkg/d.ts", "web/util/index.ts", "web/base.css", "src/net/pool.rs", "c/b.h"]
    paths = Paths([*files, importer])
    found = {paths.find(named, importer) for named in imports_of(importer, text)}

    assert ({target} if target else set()) == found - {None}
