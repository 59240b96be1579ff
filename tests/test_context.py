"""Files become prompt while the event loop goes on."""

import asyncio
from itertools import count

import pytest

from scalix_callbacks.context import SLICE_S, Contexts
from scalix_callbacks.core.bodies import Screened
from scalix_callbacks.core.context.slices import PIECE_CHARS
from scalix_callbacks.core.errors import GatewayError

MESSAGES = [{"role": "user", "content": "What does total do?"}]


def screened(files, *, stream=True, body=None, **options) -> Screened:
    made = {"model": "m", "messages": MESSAGES, **(body or {})}
    return Screened(made, "m", stream, {"files": files, **options})


def of_size(chars: int, number: int = 1) -> list[dict[str, str]]:
    line = "export const total_of_everything = parse(input) + 1;\n"
    return [{"path": f"f{i}.ts", "content": line * (chars // number // len(line))} for i in range(number)]


async def turns_of_others(work):
    """How often others had a turn on the loop while `work` was done."""
    turns = 0

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    task = asyncio.create_task(others())
    await work
    task.cancel()
    return turns


@pytest.mark.parametrize("number", [1, 1_000])
async def test_five_megabytes_leave_the_loop_to_others_after_every_piece(number):
    """One file or many: with every step a slice, others get a turn for each piece of the text."""
    clock = count(step=SLICE_S)  # each look at it is a slice later
    files = of_size(5_000_000, number)
    work = Contexts(elapsed=lambda: next(clock)).added(screened(files, enable_smart_context=True))
    turns = await turns_of_others(work)

    # Each piece is read twice: checked, and ranked.
    assert turns >= 2 * 5_000_000 // PIECE_CHARS


async def test_a_slice_is_used_before_the_next_one_gets_its_turn():
    """Small requests are not held up at every step."""
    turns = await turns_of_others(Contexts(elapsed=lambda: 0.0).added(screened(of_size(100_000, 10))))

    assert 0 == turns


async def test_large_requests_take_turns_and_a_refusal_frees_the_place():
    """One that fails, or whose client leaves, does not leave the others waiting."""
    contexts = Contexts()
    bad = [*of_size(300_000), {"path": "../x", "content": ""}]
    with pytest.raises(GatewayError):
        await contexts.added(screened(bad))
    async with asyncio.timeout(60):
        both = await asyncio.gather(*(contexts.added(screened(of_size(300_000))) for _ in range(2)))

    assert 2 == len(both)


async def test_the_call_keeps_options_only_for_an_upstream():
    """Without one they end here."""
    asked = screened(of_size(100), enable_lazy_edits=True)
    _, without = await Contexts().added(asked)
    prompt, kept = await Contexts(has_upstream=True).added(asked)

    assert None is without.options
    assert (asked.options, MESSAGES) == (kept.options, kept.messages)
    assert None is prompt.options
    assert "existing code" in prompt.body["messages"][0]["content"]


@pytest.mark.parametrize(
    ("fields", "is_told"),
    [
        ({}, True),
        ({"stream": False}, False),
        ({"body": {"response_format": {"type": "text"}}}, True),
        ({"body": {"response_format": {"type": "json_object"}}}, False),
        ({"enable_smart_context": False}, False),
    ],
)
async def test_the_saving_is_told_in_streams_of_free_text(fields, is_told):
    """Whoever wants JSON, or a whole answer, gets it without a prefix, and the header."""
    _, kept = await Contexts().added(screened(of_size(100), **{"enable_smart_context": True, **fields}))

    assert is_told == (kept.savings is not None)


async def test_the_saving_counts_what_was_left_out():
    """Of a project four times the budget, a quarter is sent."""
    _, kept = await Contexts().added(screened(of_size(160_000, 40), enable_smart_context=True))

    assert "files=10; left-out=30" in (kept.header or "")
    assert 0 == kept.savings.index("<think>scalix-token-savings?original-tokens=")


async def test_a_request_without_files_stays_as_it_is():
    """Smart context without files says nothing."""
    asked = screened([], enable_smart_context=True)
    prompt, kept = await Contexts().added(asked)

    assert MESSAGES == prompt.body["messages"]
    assert (None, None) == (kept.savings, kept.header)
