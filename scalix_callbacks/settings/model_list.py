"""The LiteLLM part of the YAML → the catalogue, with what LiteLLM would silently ignore refused."""

import os
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial
from typing import Any
from urllib.parse import urlsplit

from scalix_callbacks.core.catalogue import SPECIAL_CHAINS, Catalogue, ChainKind, Deployment, Model, escapes
from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.settings.errors import SettingsError, shown
from scalix_callbacks.settings.litellm_names import (
    check_entry,
    check_provider,
    check_router_names,
    own_providers,
)
from scalix_callbacks.settings.litellm_values import check_routing, check_values
from scalix_callbacks.settings.placeholders import is_placeholder

ENV_PREFIX = "os.environ/"
CUSTOM_AUTH = "scalix_callbacks.plugin.authenticate"
CALLBACK = "scalix_callbacks.plugin.callbacks"

KEYLESS_PROVIDERS = frozenset(
    {"ollama", "ollama_chat", "lm_studio", "hosted_vllm", "vllm", "llamafile", "xinference", "oobabooga"}
)
"""Local servers that are called without a key; they only need an address."""

_WHOLE_VALUE = re.compile(re.escape(ENV_PREFIX) + r"\w+")
_SECTIONS = ("litellm_settings", "router_settings", "general_settings")
_TOP_LEVEL = (*_SECTIONS, "model_list", "credential_list", "environment_variables", "include", "scalix")
"""LiteLLM takes others as well, and drops what it does not know; what is nearly one of these is wrong."""
_ALIKE = 0.8
_MAX_NAME = 200
_PLACEHOLDER = " (now a placeholder)"

DefaultCredentials = Callable[[str], bool]
"""Whether LiteLLM finds a model's credentials by itself, in the environment."""


@dataclass(frozen=True, slots=True)
class _Credential:
    """An entry of `credential_list`: its values, and where they stand."""

    path: str
    values: Mapping[str, Any]


def read_catalogue(
    config: Mapping[str, Any],
    tiers: TierTable,
    environ: Mapping[str, str],
    has_default_credentials: DefaultCredentials | None = None,
) -> Catalogue:
    """The models and fallback chains of a configuration.

    Args:
        config: the YAML's data, includes merged.
        environ: what `os.environ/NAME` values are resolved against.
        has_default_credentials: asked for deployments that name no key; None: they pass as ready.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    lint(config)
    entries = config.get("model_list")
    if not isinstance(entries, list) or not entries:
        raise SettingsError("model_list: names no models. Add at least one deployment.")
    credentials, providers = _credentials(config), own_providers(config)
    by_name: dict[str, list[Deployment]] = {}
    for i, entry in enumerate(entries):
        deployment = _deployment(
            entry, f"model_list[{i}]", environ, providers, credentials, has_default_credentials
        )
        by_name.setdefault(deployment.public_name, []).append(deployment)
    for alias, target in _aliases(config):
        if target not in by_name:
            raise SettingsError(
                f"router_settings.model_group_alias.{alias}: there is no model {target!r}. Name"
                " one of model_list."
            )
        by_name.setdefault(alias, list(by_name[target]))
    models = tuple(Model(name, tuple(deployments)) for name, deployments in by_name.items())
    chains = {kind: _fallbacks(config, Catalogue(models), kind) for kind in ChainKind}
    special = {kind: chains[kind] for kind in SPECIAL_CHAINS}
    catalogue = Catalogue(models, chains[ChainKind.FAILED], special)
    for kind, name, other, tier in escapes(catalogue, tiers):
        raise SettingsError(
            f"{kind}: {name} falls back to {other}, which tier {tier!r} does not have although it"
            f" has {name}. Remove {other} from the chain or add it to scalix.tiers.{tier}.models."
        )
    return catalogue


def resolve(value: object, environ: Mapping[str, str]) -> object:
    """`os.environ/NAME` → its value, None when unset or blank; anything else as it is."""
    if isinstance(value, str) and value.startswith(ENV_PREFIX):
        found = environ.get(value.removeprefix(ENV_PREFIX), "")
        return found if found.strip() else None
    return value


def lint(config: Mapping[str, Any]) -> None:
    """Refuses what looks right but LiteLLM ignores or misreads.

    Raises:
        SettingsError: names the YAML path and the mend.
    """
    for key in config:
        if key not in _TOP_LEVEL and (near := get_close_matches(key.lower(), _TOP_LEVEL, n=1, cutoff=_ALIKE)):
            raise SettingsError(f"{shown(key)}: unknown key. Did you mean {near[0]}?")
    for section in _SECTIONS:
        if config.get(section) is not None and not isinstance(config[section], dict):
            raise SettingsError(f"{section}: must be a mapping. Correct it.")
    for path, value, in_list in _texts(config, ""):
        if path.startswith("scalix."):
            continue
        if re.search(r"\$\{\w+\}", value):
            name = value[value.index("${") + 2 : value.index("}", value.index("${"))]
            raise SettingsError(f"{path}: LiteLLM does not read ${{{name}}}. Write {ENV_PREFIX}{name}.")
        if ENV_PREFIX in value and (in_list or not _WHOLE_VALUE.fullmatch(value)):
            raise SettingsError(
                f"{path}: LiteLLM reads {ENV_PREFIX}NAME only as the whole value of a key. Move all of it"
                " into the variable."
            )
    router = config.get("router_settings") or {}
    if "free_tier_limits" in router:
        raise SettingsError(
            "router_settings.free_tier_limits: LiteLLM ignores it. Write the limits under"
            " scalix.tiers.free.limits."
        )
    check_router_names(config)
    general = config.get("general_settings") or {}
    if general.get("custom_auth") not in (None, CUSTOM_AUTH):
        raise SettingsError(
            f"general_settings.custom_auth: only {CUSTOM_AUTH} may decide who calls. Remove the line."
        )
    if general.get("database_url"):
        raise SettingsError(
            "general_settings.database_url: LiteLLM would want Prisma. Set SCALIX_DATABASE_URL instead."
        )
    litellm = config.get("litellm_settings") or {}
    if not isinstance(litellm.get("callbacks", []), list):
        raise SettingsError(
            "litellm_settings.callbacks: must be a list; a single name replaces all. Write a list."
        )
    if (
        litellm.get("always_include_stream_usage") is not None
        or general.get("always_include_stream_usage") is not None
    ):
        raise SettingsError(
            "general_settings.always_include_stream_usage: the ledger needs LiteLLM's default."
            " Remove the line."
        )
    check_values(config)


def _deployment(
    entry: object,
    path: str,
    environ: Mapping[str, str],
    providers: tuple[str, ...],
    credentials: Mapping[str, _Credential],
    has_default_credentials: DefaultCredentials | None,
) -> Deployment:
    if not isinstance(entry, dict):
        raise SettingsError(f"{path}: must be a mapping with model_name and litellm_params. Correct it.")
    check_entry(entry, path)
    name = entry.get("model_name")
    if not isinstance(name, str) or not name.strip() or len(name) > _MAX_NAME or "," in name:
        raise SettingsError(
            f"{path}.model_name: must be a name without commas, e.g. free-gemini-flash. Correct it."
        )
    params = entry.get("litellm_params")
    if not isinstance(params, dict):
        raise SettingsError(f"{path}.litellm_params: missing. Add it with at least model.")
    model = resolve(params.get("model"), environ)
    if not isinstance(model, str) or not model.strip():
        raise SettingsError(f"{path}.litellm_params.model: missing. Write e.g. gemini/gemini-2.5-flash.")
    if model.startswith("openai-compatible/"):
        raise SettingsError(
            f"{path}.litellm_params.model: LiteLLM has no provider openai-compatible."
            f" Write openai/{model.removeprefix('openai-compatible/')} with api_base."
        )
    info = entry.get("model_info") or {}
    if not isinstance(info, dict):
        raise SettingsError(f"{path}.model_info: must be a mapping. Correct it.")
    if "tier" in info:
        raise SettingsError(
            f"{path}.model_info.tier: LiteLLM reserves this field and drops the model. Tiers name"
            " their models under scalix.tiers; use access_tier for a note."
        )
    resolved = partial(resolve, environ=environ)
    check_routing(params, resolved, f"{path}.litellm_params")
    check_provider(params, model, providers, resolved, f"{path}.litellm_params")
    missing = _missing(params, f"{path}.litellm_params", model, environ, credentials, has_default_credentials)
    return Deployment(name, model, path, missing)


def _missing(
    params: Mapping[str, Any],
    path: str,
    model: str,
    environ: Mapping[str, str],
    credentials: Mapping[str, _Credential],
    has_default_credentials: DefaultCredentials | None,
) -> str | None:
    """What the resolved parameters lack to make a call: a variable's or a parameter's name; None: nothing."""
    if (lacking := _unset(params, "api_key", environ)) is not None:
        return lacking
    named = resolve(params.get("litellm_credential_name"), environ)
    if named and (not isinstance(named, str) or named not in credentials):
        raise SettingsError(
            f"{path}.litellm_credential_name: there is no credential {shown(named)} in credential_list."
            " Correct the name."
        )
    if params.get("api_key"):  # LiteLLM puts it before that of the credential
        return None
    if isinstance(named, str):
        return _unset(credentials[named].values, f"{credentials[named].path}.api_key", environ)
    if "api_key" in params:
        return "api_key"
    provider = str(params.get("custom_llm_provider") or model.split("/", 1)[0])
    if provider in KEYLESS_PROVIDERS or has_default_credentials is None or has_default_credentials(model):
        return None
    usual = f"{provider.upper()}_API_KEY"
    return usual + _PLACEHOLDER if is_placeholder(environ.get(usual, "")) else "api_key"


def _unset(values: Mapping[str, Any], key_path: str, environ: Mapping[str, str]) -> str | None:
    """The first variable of `values` without a value, or what stands for their `api_key` and is none."""
    for value in values.values():
        if isinstance(value, str) and value.startswith(ENV_PREFIX) and resolve(value, environ) is None:
            return value.removeprefix(ENV_PREFIX)
    key = resolve(written := values.get("api_key"), environ)
    if not isinstance(key, str) or not isinstance(written, str) or not is_placeholder(key):
        return None
    return (written.removeprefix(ENV_PREFIX) if key != written else key_path) + _PLACEHOLDER


def _credentials(config: Mapping[str, Any]) -> dict[str, _Credential]:
    entries = config.get("credential_list") or []
    if not isinstance(entries, list):
        raise SettingsError("credential_list: must be a list. Correct it.")
    found: dict[str, _Credential] = {}
    for i, entry in enumerate(entries):
        name = entry.get("credential_name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name.strip():
            raise SettingsError(f"credential_list[{i}].credential_name: missing. Add a name.")
        for key, example in (("credential_values", "{api_key: os.environ/KEY}"), ("credential_info", "{}")):
            if not isinstance(entry.get(key), dict):  # LiteLLM does not start without either
                raise SettingsError(
                    f"credential_list[{i}].{key}: must be a mapping such as {example}. Add it."
                )
        values = entry["credential_values"]
        # LiteLLM takes the first of a name.
        found.setdefault(name, _Credential(f"credential_list[{i}].credential_values", values))
    return found


def _aliases(config: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    aliases = (config.get("router_settings") or {}).get("model_group_alias") or {}
    if not isinstance(aliases, dict):
        raise SettingsError("router_settings.model_group_alias: must be a mapping. Correct it.")
    for alias, target in aliases.items():
        yield str(alias), str(target.get("model") if isinstance(target, dict) else target)


def _fallbacks(
    config: Mapping[str, Any], catalogue: Catalogue, kind: ChainKind
) -> dict[str, tuple[str, ...]]:
    """All chains of a kind by model."""
    chains: dict[str, tuple[str, ...]] = {}
    for section in ("router_settings", "litellm_settings"):
        body = config.get(section) or {}
        for path, name, chain in _chains(body.get(kind), f"{section}.{kind}"):
            for model in (name, *chain):
                if catalogue.find(model) is None:
                    raise SettingsError(
                        f"{path}: there is no model {model!r} in model_list. Correct the name."
                    )
            if name in chain:
                raise SettingsError(f"{path}: {name} falls back to itself. Remove it from its chain.")
            chains[name] = tuple(dict.fromkeys((*chains.get(name, ()), *chain)))
        default = body.get("default_fallbacks") or []
        if default:
            raise SettingsError(
                f"{section}.default_fallbacks: would lead callers out of their tier. Write a"
                " chain for each model."
            )
    return chains


def _chains(value: object, path: str) -> Iterator[tuple[str, str, list[str]]]:
    if value is None:
        return
    if not isinstance(value, list):
        raise SettingsError(f"{path}: must be a list such as [{{gpt-4: [claude-3-opus]}}]. Correct it.")
    for i, entry in enumerate(value):
        here = f"{path}[{i}]"
        if not isinstance(entry, dict) or not all(isinstance(k, str) for k in entry):
            raise SettingsError(f"{here}: must be a mapping such as {{gpt-4: [claude-3-opus]}}. Correct it.")
        for name, chain in entry.items():
            if not isinstance(chain, list) or not all(isinstance(model, str) for model in chain):
                raise SettingsError(f"{here}.{name}: must be a list of model names. Correct it.")
            yield f"{here}.{name}", name, chain


def _texts(value: object, path: str, in_list: bool = False) -> Iterator[tuple[str, str, bool]]:
    if isinstance(value, str):
        yield path, value, in_list
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _texts(item, f"{path}.{key}" if path else str(key))
    elif isinstance(value, list):
        for i, item in enumerate(value):
            yield from _texts(item, f"{path}[{i}]", in_list=True)


def check_engine_addresses(
    config: Mapping[str, Any], environ: Mapping[str, str], host: str, port: int
) -> None:
    """Refuses an engine or gateway address that is this server's own: every call would go round for ever.

    Raises:
        SettingsError: names the variable or YAML path.
    """
    own = {"127.0.0.1", "localhost", "::1", "0.0.0.0", host, os.uname().nodename}
    addresses = [(name, environ.get(name)) for name in ("SCALIX_ENGINE_URL", "SCALIX_GATEWAY_URL")]
    addresses += [
        (_named_by(written, f"model_list[{i}].litellm_params.api_base"), str(base))
        for i, entry in enumerate(config.get("model_list") or [])
        if isinstance(entry, dict) and isinstance(entry.get("litellm_params"), dict)
        if (base := resolve(written := entry["litellm_params"].get("api_base"), environ)) is not None
    ]
    for name, address in addresses:
        if not address:
            continue
        try:
            parts = urlsplit(address)
            its_port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
        except ValueError:
            parts, its_port = None, None
        if parts is None or parts.scheme not in ("http", "https") or not parts.hostname:
            raise SettingsError(f"{name}: must be an address such as https://host/v1. Correct it.")
        if its_port == port and parts.hostname in own:
            raise SettingsError(
                f"{name}: points at this server itself. Name the upstream's address or remove it."
            )


def _named_by(written: object, path: str) -> str:
    """Where the person who has to mend a value wrote it: in its variable, or at its path."""
    if isinstance(written, str) and written.startswith(ENV_PREFIX):
        return written.removeprefix(ENV_PREFIX)
    return path
