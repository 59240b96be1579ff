"""Whether LiteLLM knows a model by its bare name, and which one was meant."""

from difflib import get_close_matches

from scalix_callbacks.proxy.credentials import in_silence


def is_known(model: str) -> bool:
    """Whether LiteLLM finds the provider of `model`, a name without one."""
    with in_silence():
        import litellm

        try:
            litellm.get_llm_provider(model)
        except litellm.BadRequestError:
            return False
    return True


def nearest(model: str) -> str | None:
    """The name most like `model`, which is not known, by which LiteLLM finds a model; None: none is."""
    with in_silence():
        import litellm
    bare, lowered = [name for name in litellm.model_list if "/" not in name and name != model], model.lower()
    # Often only the provider is left out, whose name the model's begins with: deepseek/deepseek-chat.
    whole = [name for name in litellm.model_list if name.partition("/")[2] == lowered]
    whole.sort(key=lambda name: (not lowered.startswith(name.partition("/")[0]), name))
    near = [lowered] if lowered in bare else whole or get_close_matches(lowered, bare, n=3)
    return next(filter(is_known, near), None)  # some names of its table are for their prices alone
