"""Models that LiteLLM would leave out, for it cannot tell by their bare names whose they are."""

from collections.abc import Iterator, Mapping
from functools import partial

from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.errors import shown
from scalix_callbacks.settings.litellm_names import bare_names
from scalix_callbacks.settings.model_list import resolve


def unknown_models(settings: Settings, values: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """(what is so, what to do) of each; only bare names import LiteLLM, for seconds.

    No error: LiteLLM's table is of its release, and who knows better has only to name the provider.
    """
    if settings.is_demo:  # its provider answers for every model
        return
    for path, model in bare_names(settings.config, partial(resolve, environ=values)):
        from scalix_callbacks.proxy.model_names import is_known, nearest

        if is_known(model):
            continue
        near = nearest(model)
        mend = f"Did you mean {near}? Else write" if near else "Write"
        yield (
            f"{path}: LiteLLM knows no model {shown(model)}, and leaves it out.",
            f"{mend} its provider before it, such as openai/{model[:60]} where a server speaks OpenAI's API.",
        )
