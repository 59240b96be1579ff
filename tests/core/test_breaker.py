"""A breaker asks again now and then, and never in a crowd."""

from scalix_callbacks.core.breaker import MAX_PARTS, Breaker, Breakers


def test_it_permits_everything_until_something_fails():
    """And again once something succeeded."""
    breaker = Breaker(1.0)

    assert all(breaker.permits(0.0) for _ in range(3))
    breaker.failed(10.0)
    assert breaker.is_open
    breaker.succeeded()
    assert breaker.permits(10.0)
    assert not breaker.is_open


def test_while_it_is_open_one_tries_at_a_time():
    """A crowd that waits for a lost store must not wait all at once when the pause is over."""
    breaker = Breaker(1.0)
    breaker.failed(10.0)

    assert [False, False, True, False, False, True] == [
        breaker.permits(now_s) for now_s in (10.0, 10.999, 11.0, 11.0, 11.999, 12.0)
    ]


def test_each_part_fails_for_itself():
    """Who is served by another one is not kept waiting, nor is whoever is moved to another."""
    servers = {"ada": 1, "bob": 2}
    breakers = Breakers(1.0, servers.get)
    breakers.of("ada").failed(10.0)

    assert breakers.is_open
    assert [False, True] == [breakers.of(name).permits(10.0) for name in ("ada", "bob")]
    servers["ada"] = 3
    assert breakers.of("ada").permits(10.0)


def test_one_for_all_is_that_of_every_account():
    """Where there is one server."""
    breaker = Breaker(1.0)

    assert breaker is breaker.of("ada") is breaker.of("bob")


def test_parts_that_are_gone_are_forgotten():
    """Servers come and go for as long as a worker lives."""
    breakers = Breakers(1.0, str)
    breakers.of("0").failed(10.0)
    for i in range(MAX_PARTS):
        breakers.of(str(i + 1))

    assert not breakers.is_open
