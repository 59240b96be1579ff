"""What rests is told by the public name of its model, as LiteLLM's own router knows it."""

from collections.abc import Iterator

import pytest
from litellm.router import Router

from scalix_callbacks.proxy.resting import resting_models, resting_until

RESTING = {"a-1": (100.0, 5.0), "a-2": (90.0, 60.0), "b-1": (100.0, 1.0), "of another version": (100.0, 9.0)}


@pytest.fixture
def router() -> Iterator[Router]:
    params = {"model": "openai/x", "api_key": "k"}
    router = Router(
        model_list=[
            {"model_name": id[0], "litellm_params": dict(params), "model_info": {"id": id}}
            for id in ("a-1", "a-2", "b-1", "c-1")
        ]
    )
    yield router
    router.discard()


def test_deployments_that_rest_are_counted_by_model(router: Router) -> None:
    """One that the router does not know is left out."""
    assert {"a": 2, "b": 1} == resting_models(router, RESTING)


def test_a_model_rests_until_its_last_deployment_is_back(router: Router) -> None:
    """Whichever began first."""
    assert {"a": 150.0, "b": 101.0} == resting_until(router, RESTING)
