"""The provider matrix: how each provider of the configuration is reached, and what it is asked."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import litellm
import yaml

from scalix_callbacks.demo_provider.testing import DemoProviderServer

ROOT = Path(__file__).parents[2]
RECORDED = ROOT / "scalix_callbacks" / "demo_provider" / "recorded"
KEY = "sk-CANARYKEY-0123456789abcdef"
MODEL_LIST = yaml.safe_load((ROOT / "litellm_proxy_config.yaml").read_text())["model_list"]


@dataclass(frozen=True, slots=True)
class Way:
    """How one provider is reached.

    `entry` is a public name in our YAML, `adapter` the start of its `model` there; `wildcard` what a `*` in
    it stands for. `base` follows the address of the demo provider, `path` is where the call must arrive.
    `key_in` is the header of the key with what precedes the key; None where no key is checked. `recorded` is
    the file of its failures; `reports_details`: it tells cached and reasoning tokens.
    """

    name: str
    entry: str
    adapter: str
    base: str
    path: str
    key_in: tuple[str, str] | None
    recorded: str = ""
    wildcard: str = ""
    reports_details: bool = True

    @property
    def failures(self) -> dict[str, Any]:
        """Its recorded failures."""
        entries = json.loads((RECORDED / f"{self.recorded or self.name}.json").read_text())
        return {name: entry for name, entry in entries.items() if name not in ("refused", "failed")}

    def params(self, provider: DemoProviderServer, key: str = KEY) -> dict[str, Any]:
        """The `litellm_params` of our YAML, pointed at the demo provider."""
        found = [
            entry["litellm_params"]
            for entry in MODEL_LIST
            if entry["model_name"] == self.entry and entry["litellm_params"]["model"].startswith(self.adapter)
        ]
        params = {name: value for name, value in found[0].items() if name not in ("order", "weight")}
        model = params["model"].replace("*", self.wildcard)
        return {**params, "model": model, "api_base": provider.url + self.base, "api_key": key}


BEARER = ("authorization", "Bearer ")
CHAT = "/chat/completions"
WAYS = (
    Way("openai", "gpt-4.1", "openai/", "/openai/v1", f"/openai/v1{CHAT}", BEARER),
    Way(
        "anthropic",
        "claude-sonnet-4",
        "anthropic/",
        "/anthropic",
        "/anthropic/v1/messages",
        ("x-api-key", ""),
    ),
    Way(
        "gemini",
        "gemini-2.5-flash",
        "gemini/",
        "/gemini/v1beta",
        "/gemini/v1beta/models/gemini-2.5-flash:generateContent",
        ("x-goog-api-key", ""),
    ),
    Way(
        "azure",
        "azure-gpt-4",
        "azure/",
        "/azure",
        f"/azure/openai/deployments/gpt-4.1{CHAT}",
        ("api-key", ""),
    ),
    Way(
        "openrouter",
        "free-wizardlm",
        "openrouter/",
        "/openrouter/api/v1",
        f"/openrouter/api/v1{CHAT}",
        BEARER,
    ),
    Way("deepseek", "free-deepseek-chat", "deepseek/", "/deepseek/beta", f"/deepseek/beta{CHAT}", BEARER),
    Way(
        "ollama",
        "ollama/*",
        "ollama_chat/",
        "/ollama",
        "/ollama/api/chat",
        None,
        wildcard="qwen3",
        reports_details=False,
    ),
    Way(
        "lmstudio", "lmstudio/*", "lm_studio/", "/lmstudio/v1", f"/lmstudio/v1{CHAT}", None, wildcard="qwen3"
    ),
    Way(
        "scalix-engine",
        "scalix-engine",
        "openai/scalix-engine",
        "/scalix-engine/v1/engine",
        f"/scalix-engine/v1/engine{CHAT}",
        BEARER,
        recorded="scalix",
    ),
    Way(
        "scalix-gateway",
        "scalix-gateway",
        "openai/scalix-gateway",
        "/scalix-gateway/v1/gateway",
        f"/scalix-gateway/v1/gateway{CHAT}",
        BEARER,
        recorded="scalix",
    ),
)
NAMES = [way.name for way in WAYS]


async def call(params: dict[str, Any], text: str = "Say hello.", **fields: Any) -> Any:
    """LiteLLM's answer to one message, through the adapter that `params` choose."""
    messages = [{"role": "user", "content": text}]
    return await litellm.acompletion(messages=messages, max_retries=0, **params, **fields)


async def chunks(params: dict[str, Any], text: str, **fields: Any) -> list[Any]:
    """All chunks of a streamed answer, with its usage."""
    options = {"stream": True, "stream_options": {"include_usage": True}}
    return [chunk async for chunk in await call(params, text, **options, **fields)]
