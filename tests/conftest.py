"""What every test works under."""

import os

import pytest
from hypothesis import settings

# LiteLLM would ask the network for prices while it is imported.
os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

# How long an example takes says nothing on a machine that does other work, too.
settings.register_profile("scalix", deadline=None)
settings.load_profile("scalix")

LITELLMS_WARNINGS = (
    "ignore:Items? .* using the `ReadOnly` qualifier:UserWarning",
    "ignore:Using extra keyword arguments on `Field`:DeprecationWarning",
    "ignore:unclosed scandir iterator:ResourceWarning",
)
"""Of its own code, while it is imported: which test imports it first is chance."""


def pytest_configure(config: pytest.Config) -> None:
    for line in LITELLMS_WARNINGS:
        config.addinivalue_line("filterwarnings", line)
