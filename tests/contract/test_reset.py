"""Fresh windows for an account, whatever it has open."""

from scalix_callbacks.core.limits import Admitted, Denied
from tests.contract.world import NOON, REQUESTS_1H, TOKENS_1D, World


async def test_an_account_gets_fresh_windows(world: World) -> None:
    """What was used up is open again; another account's counters stay."""
    for call, account in (("a", "ada"), ("b", "ada"), ("c", "bob")):
        await world.admit(call, REQUESTS_1H, TOKENS_1D, account=account)
        await world.settle(call, 50)
    assert isinstance(await world.admit("d", REQUESTS_1H, TOKENS_1D), Denied)
    count = await world.worker().reset("ada")

    assert 2 == count
    assert [(0, 0), (0, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)
    assert isinstance(await world.admit("e", REQUESTS_1H, TOKENS_1D), Admitted)
    bobs = await world.worker().standings("bob", (TOKENS_1D,), now_s=NOON)
    assert [50] == [standing.used for standing in bobs]


async def test_what_open_calls_hold_stays_held(world: World) -> None:
    """Settled later, they count, and nothing is ever less than none."""
    await world.admit("a", REQUESTS_1H, TOKENS_1D, prompt=100, output=200)
    await world.admit("b", REQUESTS_1H, TOKENS_1D, prompt=100, output=200)
    await world.settle("a", 250)
    await world.worker().reset("ada")

    assert [(0, 1), (0, 300)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)
    await world.settle("b", 120)
    assert [(1, 0), (120, 0)] == await world.used_and_held(REQUESTS_1H, TOKENS_1D)


async def test_an_account_that_never_called_can_be_reset(world: World) -> None:
    """There is nothing to do."""
    assert 0 == await world.worker().reset("nobody")
