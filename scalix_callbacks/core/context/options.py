"""What a request asks of the engine: `scalix_options`, as the desktop app and its forerunners name them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scalix_callbacks.core.context.ranking import Mode
from scalix_callbacks.core.routes import Endpoint, Route

ENGINE_MODELS = ("scalix-engine", "scalix-gateway")


@dataclass(frozen=True, slots=True)
class EngineOptions:
    """`mode`: of smart context; None: all files are wanted."""

    files: Sequence[Mapping[str, Any]] = ()
    is_lazy: bool = False
    mode: Mode | None = None


def read_options(options: Mapping[str, Any]) -> EngineOptions:
    """From options that passed the screen and the features of the tier."""
    wants_smart = options.get("enable_smart_files_context") or options.get("enable_smart_context")
    named = options.get("smart_context_mode")
    return EngineOptions(
        files=options.get("files") or (),
        is_lazy=bool(options.get("enable_lazy_edits")),
        mode=(Mode.DEEP if named == "deep" else Mode.BALANCED) if wants_smart and named != "off" else None,
    )


def takes_options(route: Route, model: str) -> bool:
    """Whether a call is the engine's: by its address, or by its model at any address of chats."""
    is_engines = route.engine is not None or model.partition("/")[0] in ENGINE_MODELS
    return is_engines and route.endpoint is Endpoint.CHAT


def upstream_name(route: Route, model: str) -> str | None:
    """By which of our models an upstream engine is asked for `model`; None: by `model` itself.

    Auto mode is chosen here.
    """
    if route.engine is None or model.partition("/")[0] in ENGINE_MODELS or model in _AUTO:
        return None
    return f"{route.engine}/{model}"


_AUTO = ("scalix/auto", "auto", "free-auto")
