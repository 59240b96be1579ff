"""LiteLLM's own table of models, asked by bare names."""

import pytest

from scalix_callbacks.proxy.model_names import is_known, nearest


@pytest.mark.parametrize(
    "model", ["gpt-4", "gpt-4.1", "claude-sonnet-4-6", "text-embedding-3-small", "ft:gpt-4o:x", "*"]
)
def test_what_litellm_finds_the_provider_of_is_known(model: str) -> None:
    """By its table, or by how the name begins."""
    assert is_known(model)


@pytest.mark.parametrize(
    ("model", "meant"),
    [
        ("gtp-4", "gpt-4"),
        ("GPT-4.1", "gpt-4.1"),
        ("gemni-2.5-flash", "gemini-2.5-flash"),
        ("GTP-4", "gpt-4"),
        ("deepseek-chat", "deepseek/deepseek-chat"),
        ("deepseek-v4-pro", "deepseek/deepseek-v4-pro"),
        ("qwen3-max", "dashscope/qwen3-max"),
        ("gemini-flash-lates", "gemini-3.5-flash-lite"),
        ("my-house-model", None),
    ],
)
def test_what_was_meant_is_found(model: str, meant: str | None) -> None:
    """The nearest that it can call, or the same with a provider: the one it begins with, else the first."""
    assert (False, meant) == (is_known(model), nearest(model))


def test_litellm_says_nothing_meanwhile(capfd: pytest.CaptureFixture[str]) -> None:
    """It would print where its providers are listed."""
    is_known("my-house-model")

    assert ("", "") == capfd.readouterr()
