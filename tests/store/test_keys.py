"""Names of keys: bounded, without raw ids, and each account's in one slot."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from scalix_callbacks.store import keys

ANY_TEXT = st.text(st.characters(exclude_categories=()))


@given(account=ANY_TEXT, request=ANY_TEXT, call=ANY_TEXT)
def test_all_of_an_account_lies_in_one_slot(account: str, request: str, call: str) -> None:
    """Every script touches one hash tag, whatever the ids are made of."""
    shard = keys.shard_of(account)
    names = [
        keys.counters_key(account),
        keys.request_key(account, request),
        keys.open_calls_key(shard, "worker"),
        keys.ended_key(shard, call),
        keys.leases_key(shard),
        keys.outbox_key(shard),
        *keys.answers_keys(account),
    ]

    assert {f"{{s{shard:02}}}"} == {name[name.index("{") : name.index("}") + 1] for name in names}
    assert all(name.startswith("scalix:{s") and len(name) <= 100 and name.isascii() for name in names)


def test_names_stay_what_they_are() -> None:
    """Another name would leave what is counted behind."""
    assert 40 == keys.shard_of("ada")
    assert "scalix:{s40}:used:fdee430d40bd57deeac186cd" == keys.counters_key("ada")


def test_no_raw_id_is_in_a_name() -> None:
    """Keys are seen by whoever looks at Redis."""
    assert "ada@example.org" not in keys.counters_key("ada@example.org")
    assert "secret" not in keys.request_key("ada", "secret")


def test_ids_do_not_run_together() -> None:
    """An account's request is not another's whose id ends where this one's begins."""
    assert keys.request_key("1:a", "b") != keys.request_key("1:", "ab")


@pytest.mark.parametrize("worker_id", ["", "a b", "a\n", "a:b", "{a}", "ä", "a" * 65])
def test_a_worker_id_is_a_plain_word(worker_id: str) -> None:
    """It is part of a key as it is."""
    with pytest.raises(ValueError, match="worker id"):
        keys.check_worker_id(worker_id)
    assert "host-1.4_2" == keys.check_worker_id("host-1.4_2")
