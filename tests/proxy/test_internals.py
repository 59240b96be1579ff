"""LiteLLM's own list of what steers it."""

from litellm.types.utils import all_litellm_params

from scalix_callbacks.proxy.internals import internal_fields


def test_every_name_of_litellms_list_is_internal() -> None:
    """Whatever the installed version has in it."""
    assert set(map(str, all_litellm_params)) == internal_fields()


def test_the_list_is_really_the_one_that_steers() -> None:
    """If LiteLLM empties or renames it, this fails before a user finds out."""
    known = {
        "api_base",
        "api_key",
        "fallbacks",
        "mock_response",
        "custom_llm_provider",
        "num_retries",
        "cache",
    }

    assert known <= internal_fields()
    assert len(internal_fields()) > 100
