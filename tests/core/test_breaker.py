"""A breaker asks again now and then, and never in a crowd."""

from scalix_callbacks.core.breaker import Breaker


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
