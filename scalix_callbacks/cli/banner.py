"""What a person reads once the gateway is ready."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any

from scalix_callbacks.cli.key_source import KeySource
from scalix_callbacks.cli.limit_words import limits_text
from scalix_callbacks.core.catalogue import Model
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.environment import DEMO_MASTER_KEY

_BOLD, _WARN, _PLAIN = "\033[1m", "\033[1;33m", "\033[0m"
_NOT_CHAT = ("embed", "whisper", "tts", "dall-e", "image", "moderation", "rerank", "transcri")


def ready_text(
    settings: Settings, *, url: str, key: KeySource, stop_command: str | None = None, in_colour: bool = False
) -> str:
    """The whole message.

    Args:
        stop_command: how to end a gateway that runs in the background.
    """
    bold = _painter(_BOLD, in_colour)
    parts = []
    if settings.is_demo:
        parts.append(_demo_banner(settings, _painter(_WARN, in_colour)))
    if settings.environment.is_development:
        parts.append(
            _painter(_WARN, in_colour)(
                "DEVELOPMENT: every caller can make its calls fail with X-Scalix-Simulate."
                " SCALIX_ENV=production ends that."
            )
        )
    parts.append(bold(f"Scalix Gateway is ready at {url}"))
    parts.append(tiers_text(settings))
    parts.append(models_text(settings))
    if not any(model.is_ready for model in settings.catalogue.models):
        parts.append("No model can be called yet: set a provider's key and start again, or try --demo.")
    parts.append(
        "\n".join(
            (
                f"Status page      {url}/scalix/",
                f"Data directory   {settings.data_dir}",
                f"Log file         {settings.environment.log_file}",
                f"Master key       {key.place}",
            )
        )
    )
    parts.append(_try_it(settings, url, key))
    parts.append(f"To stop it: {stop_command}" if stop_command else "To stop it: Ctrl-C")
    return "\n\n".join(parts)


def tiers_text(settings: Settings) -> str:
    width = max(len(name) for name in settings.tiers)
    lines = [
        f"  {tier.name:<{width}}  {limits_text(tier)}; models {', '.join(tier.models)}"
        for tier in settings.tiers.values()
    ]
    return "\n".join(("Tiers", *lines))


def models_text(settings: Settings) -> str:
    """Which models have credentials, and what the others lack."""
    ready = [model.name for model in settings.catalogue.models if model.is_ready]
    waiting: dict[str, list[str]] = {}
    for model in settings.catalogue.models:
        if not model.is_ready:
            waiting.setdefault(" or ".join(model.missing), []).append(model.name)
    lines = [f"Models with credentials: {', '.join(ready) or 'none'}"]
    if waiting:
        width = max(map(len, waiting))
        lines.append("Models without credentials, by what they lack:")
        lines += [f"  {missing:<{width}}  {', '.join(names)}" for missing, names in waiting.items()]
    if settings.unpriced:
        lines.append(
            f"Without a price: {', '.join(settings.unpriced)}. Nobody pays for them, and accounts with a"
            " budget cannot call them; add them to scalix.prices (0: free; null: as it is)."
        )
    return "\n".join(lines)


def _demo_banner(settings: Settings, warn: Callable[[str], str]) -> str:
    lines = ["DEMO: no model is called. The demo provider of this package makes up every answer."]
    if settings.environment.master_key == DEMO_MASTER_KEY:
        lines.append(
            "The demo's master key is published and protects nothing; only this machine can connect."
        )
    rule = "*" * (max(map(len, lines)) + 4)
    return "\n".join(map(warn, (rule, *(f"* {line:<{len(rule) - 4}} *" for line in lines), rule)))


def _try_it(settings: Settings, url: str, key: KeySource) -> str:
    lines = []
    if key.shell is None:
        lines.append(f"Try it, with the key ({key.place}) in $LITELLM_MASTER_KEY:")
    else:
        lines.append("Try it:")
    authorization = f'-H "Authorization: Bearer {key.shell or "$LITELLM_MASTER_KEY"}"'
    model = chat_model(settings.catalogue.models, settings.config)
    if model is None:
        lines.append(f"  curl -sS {url}/v1/models {authorization}")
    else:
        lines += [
            f"  curl -sS {url}/v1/chat/completions \\",
            f"    {authorization} -H 'Content-Type: application/json' \\",
            f'    -d \'{{"model": "{model}", "messages": [{{"role": "user", "content": "Hello"}}]}}\'',
        ]
    return "\n".join(lines)


def chat_model(models: Iterable[Model], config: Mapping[str, Any]) -> str | None:
    """A model that can be chatted with now; None: none is known."""
    other_modes = {
        entry.get("model_name")
        for entry in config.get("model_list") or ()
        if (entry.get("model_info") or {}).get("mode") not in (None, "chat")
    }
    for model in models:
        names = " ".join((model.name, *(deployment.model for deployment in model.deployments))).lower()
        is_chat = model.name not in other_modes and not any(word in names for word in _NOT_CHAT)
        if (
            model.is_ready
            and not model.is_pattern
            and is_chat
            and "'" not in model.name
            and '"' not in model.name
        ):
            return model.name
    return None


def _painter(code: str, in_colour: bool) -> Callable[[str], str]:
    return (lambda text: f"{code}{text}{_PLAIN}") if in_colour else str
