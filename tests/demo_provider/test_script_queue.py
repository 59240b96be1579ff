"""Which waiting script a call gets."""

from typing import Any

import pytest

from scalix_callbacks.demo_provider.script import Script, ScriptError
from scalix_callbacks.demo_provider.script_queue import MAX_SCRIPTS, QueuedScript, ScriptQueue

ONE, TWO, THREE = Script(tokens=1), Script(tokens=2), Script(tokens=3)


def queue_of(*queued: QueuedScript) -> ScriptQueue:
    queue = ScriptQueue()
    for each in queued:
        queue.add(each)
    return queue


def test_counted_scripts_are_used_up_in_order() -> None:
    """Two failures, then a success: as a retry test writes it."""
    queue = queue_of(QueuedScript(ONE, times=2), QueuedScript(TWO, times=1))

    assert [ONE, ONE, TWO, None] == [queue.take("demo", "") for _ in range(4)]


def test_a_standing_script_waits_behind_the_counted_ones() -> None:
    """A standing script is what calls fall back to, whichever was set first."""
    queue = queue_of(QueuedScript(ONE), QueuedScript(TWO, times=1))

    assert [TWO, ONE, ONE] == [queue.take("demo", "") for _ in range(3)]


def test_a_standing_script_replaces_one_for_the_same_calls() -> None:
    """Setting a standing script again changes it."""
    queue = queue_of(QueuedScript(ONE), QueuedScript(TWO, model="a"), QueuedScript(THREE))

    assert [(THREE, None), (TWO, None)] == [(queued.script, left) for queued, left in queue.waiting()]


def test_a_script_waits_for_its_model_and_its_message() -> None:
    """Scripts for others are passed over, not used up."""
    queue = queue_of(QueuedScript(ONE, times=1, model="a"), QueuedScript(TWO, times=1, match="tea"))

    taken = [queue.take("b", "coffee"), queue.take("b", "some tea"), queue.take("a", "coffee")]
    assert [None, TWO, ONE] == taken
    assert 0 == len(queue)


def test_a_reset_forgets_all() -> None:
    """After a reset the provider answers by default."""
    queue = queue_of(QueuedScript(ONE), QueuedScript(TWO, times=1))
    queue.reset()

    assert queue.take("demo", "") is None


def test_the_queue_is_bounded() -> None:
    """A test that never resets is told so."""
    queue = queue_of(*[QueuedScript(ONE, times=1)] * MAX_SCRIPTS)

    with pytest.raises(ScriptError, match="at most 1000"):
        queue.add(QueuedScript(ONE))


@pytest.mark.parametrize("bad", [{"times": 0}, {"times": True}, {"times": 1.5}, {"model": ""}, {"match": 7}])
def test_a_bad_order_is_refused(bad: dict[str, Any]) -> None:
    """`times`, `model` and `match` are checked as well."""
    with pytest.raises(ScriptError, match=next(iter(bad))):
        QueuedScript(ONE, **bad)
