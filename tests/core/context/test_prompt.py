"""What of the files stands in the prompt, and what is said of the others."""

import pytest

from scalix_callbacks.core.context.files import SourceFile
from scalix_callbacks.core.context.options import read_options, takes_options, upstream_name
from scalix_callbacks.core.context.prompt import files_text, with_system_text
from scalix_callbacks.core.context.ranking import Mode
from scalix_callbacks.core.context.selection import BUDGETS, Selection, select
from scalix_callbacks.core.routes import find_route

A, B, C = (SourceFile(name, f"{name}\n" * 10, 10) for name in ("a", "b", "c"))
LARGE = SourceFile("large", "line\n" * 100, 100)


def test_files_are_taken_until_the_budget_is_full():
    """One that does not fit makes room for smaller ones after it."""
    chosen = select([A, LARGE, B, C], 20)

    assert (("a", "b"), ("large", "c")) == tuple(
        tuple(f.path for f in files) for files in (chosen.files, chosen.left_out)
    )
    assert (20, 130) == (chosen.tokens, chosen.original_tokens)


def test_the_first_file_is_there_in_any_case():
    """Cut to half the budget, and marked, so that nobody writes it anew from its beginning."""
    chosen = select([LARGE, A], 50)

    assert ("large", "line\n" * 25) == (chosen.cut, chosen.files[0].content)
    assert ("large", "a") == tuple(file.path for file in chosen.files)
    assert 110 == chosen.original_tokens
    assert 'path="large" part="beginning"' in files_text(chosen)
    assert "do not write it in full" in files_text(chosen)


@pytest.mark.parametrize(("total", "budget"), [(100, 4_000), (40_000, 10_000), (1_000_000, 16_000)])
def test_a_budget_is_a_share_within_bounds(total, budget):
    """Small projects go whole; of large ones a quarter, up to what is worth paying for."""
    assert budget == BUDGETS[Mode.BALANCED].of(total)


def test_what_was_left_out_is_named_up_to_a_bound():
    """The model may then ask for a file; thousands of names would cost more than files."""
    many = tuple(SourceFile(f"f{i}", "", 1) for i in range(250))
    text = files_text(Selection((A,), many))

    assert text.endswith("- f199\n- and 50 more")


def test_a_path_cannot_end_its_tag():
    """It is escaped; contents stand as they are."""
    assert '<scalix-file path="a&quot;&gt;b">\n<b>\n</scalix-file>' in files_text(
        Selection((SourceFile('a">b', "<b>", 1),))
    )


@pytest.mark.parametrize(
    ("messages", "first"),
    [
        ([{"role": "user", "content": "u"}], {"role": "system", "content": "T"}),
        ([{"role": "system", "content": "s"}], {"role": "system", "content": "s\n\nT"}),
        (
            [{"role": "developer", "content": [{"type": "text", "text": "s"}]}],
            {"role": "developer", "content": [{"type": "text", "text": "s"}, {"type": "text", "text": "T"}]},
        ),
    ],
)
def test_the_text_goes_into_the_system_message(messages, first):
    """The messages given are left as they were: an upstream engine gets them."""
    before = [dict(message) for message in messages]

    assert first == with_system_text(messages, "T")[0]
    assert before == messages


@pytest.mark.parametrize(
    ("options", "mode"),
    [
        ({}, None),
        ({"enable_smart_files_context": True}, Mode.BALANCED),
        ({"enable_smart_context": True, "smart_context_mode": "deep"}, Mode.DEEP),
        ({"enable_smart_context": True, "smart_context_mode": "off"}, None),
        ({"enable_smart_context": True, "smart_context_mode": "conservative"}, Mode.BALANCED),
        ({"smart_context_mode": "deep"}, None),
    ],
)
def test_smart_context_is_on_by_either_name(options, mode):
    """Its mode alone does not switch it on."""
    assert mode is read_options(options).mode


@pytest.mark.parametrize(
    ("path", "model", "takes", "upstream"),
    [
        ("/v1/engine/chat/completions", "gpt-4.1", True, "scalix-engine/gpt-4.1"),
        ("/v1/gateway/chat/completions", "anthropic/x", True, "scalix-gateway/anthropic/x"),
        ("/v1/engine/chat/completions", "scalix-engine", True, None),
        ("/v1/engine/chat/completions", "scalix/auto", True, None),
        ("/v1/chat/completions", "scalix-gateway/x", True, None),
        ("/v1/chat/completions", "gpt-4.1", False, None),
        ("/v1/completions", "scalix-engine", False, None),
    ],
)
def test_which_calls_are_the_engines(path, model, takes, upstream):
    """By address, or by model."""
    route = find_route(path)

    assert takes is takes_options(route, model)
    assert upstream == upstream_name(route, model)
