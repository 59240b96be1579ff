"""Whether LiteLLM finds a deployment's credentials in the environment by itself."""

import os
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

from scalix_callbacks.settings.placeholders import is_placeholder

_LOCAL_PRICES = "LITELLM_LOCAL_MODEL_COST_MAP"


def has_default_credentials(model: str) -> bool:
    """Whether LiteLLM could call `model` (`provider/name`) without being given a key.

    Looks at the names of variables only, through LiteLLM's own `validate_environment`, and at those that hold
    more than a placeholder. A model whose provider LiteLLM does not know has none.
    """
    with in_silence(), _without_placeholders():
        # Seconds of work, and not needed by those who name all their keys.
        import litellm

        try:
            litellm.get_llm_provider(model)  # validate_environment itself says yes to providers unknown to it
            return litellm.validate_environment(model).get("keys_in_environment") is True
        except Exception:  # odd names end in any class of exception; no such model can be called
            return False


@contextmanager
def _without_placeholders() -> Iterator[None]:
    """Without the variables that only hold a key's place."""
    kept = {name: value for name, value in os.environ.items() if is_placeholder(value)}
    for name in kept:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(kept)


@contextmanager
def in_silence() -> Iterator[None]:
    """Without LiteLLM's words on stdout and stderr, and without the fetch of prices at its import."""
    is_first_import, prices = "litellm" not in sys.modules, os.environ.get(_LOCAL_PRICES)
    with redirect_stdout(StringIO()), redirect_stderr(StringIO()), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        if is_first_import:
            os.environ[_LOCAL_PRICES] = "True"
        try:
            yield
        finally:
            if is_first_import and prices is None:
                del os.environ[_LOCAL_PRICES]
            elif is_first_import and prices is not None:
                os.environ[_LOCAL_PRICES] = prices
