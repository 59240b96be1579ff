"""LiteLLM's cooldowns over a store that all workers share, in LiteLLM's own router."""

from collections.abc import Mapping

from litellm.router import Router

from scalix_callbacks.proxy.shared_cooldowns import SharedCooldowns, share
from scalix_callbacks.store.errors import StoreLost

CANARY = "canary-8316 https://provider.example"


class Store:
    """In memory, and lost at will."""

    def __init__(self) -> None:
        self.resting: dict[str, tuple[float, float]] = {}
        self.is_lost = False
        self.asked = 0

    async def add(self, deployment: str, since_s: float, rest_s: float) -> None:
        self._ask()
        self.resting[deployment] = (since_s, rest_s)

    async def read(self, now_s: float) -> Mapping[str, tuple[float, float]]:
        self._ask()
        return dict(self.resting)

    def _ask(self) -> None:
        self.asked += 1
        if self.is_lost:
            raise StoreLost("gone")


def worker(store: Store) -> tuple[Router, SharedCooldowns]:
    deployment = {"model_name": "m", "litellm_params": {"model": "openai/m"}, "model_info": {"id": "one"}}
    router = Router(model_list=[deployment])
    return router, share(router, store)


def fail(router: Router) -> None:
    router.cooldown_cache.add_deployment_to_cooldown(
        "one", original_exception=ValueError(CANARY), exception_status=500, cooldown_time=30.0
    )


async def resting(router: Router) -> list[str]:
    """As LiteLLM finds it out before a call, without its own pause of a second between two questions."""
    router.cooldown_cache.cooldown_store.last_redis_batch_access_time.clear()
    found = await router.cooldown_cache.async_get_active_cooldowns(["one"], None)
    return [deployment for deployment, _ in found]


async def test_what_rests_in_one_worker_rests_in_the_next() -> None:
    """From the second call on: the first only asks, for no call waits for the answer."""
    store = Store()
    (here, ours), (there, theirs) = worker(store), worker(store)
    fail(here)
    await ours.settled()
    first = await resting(there)
    await theirs.settled()

    assert (["one"], [], ["one"]) == (await resting(here), first, await resting(there))


async def test_no_word_of_a_provider_is_told() -> None:
    """LiteLLM would write the failure's text beside it."""
    store = Store()
    router, shared = worker(store)
    fail(router)
    await shared.settled()

    assert CANARY not in str(store.resting)
    assert {"one"} == set(store.resting)


async def test_without_the_store_each_worker_knows_its_own() -> None:
    """Nothing fails, and it is not asked again and again."""
    store = Store()
    store.is_lost = True
    router, shared = worker(store)
    fail(router)
    await shared.settled()
    for _ in range(10):
        assert ["one"] == await resting(router)
        await shared.settled()

    assert store.asked <= 2
