"""Names in LiteLLM's own sections: one that it does not know, it leaves out, and says so in its log alone."""

import re
from collections.abc import Callable, Mapping
from difflib import get_close_matches
from typing import Any
from urllib.parse import urlsplit

from scalix_callbacks.settings.errors import SettingsError, shown
from scalix_callbacks.settings.tier_block import refuse_unknown


def _words(text: str) -> tuple[str, ...]:
    return tuple(text.split())


ROUTER_SETTINGS = _words(
    """
    alerting_config allowed_fails allowed_fails_policy assistants_config auto_router_capability_limit
    background_health_check_model_groups cache_kwargs cache_responses caching_groups client_ttl
    content_policy_fallbacks context_window_fallbacks cooldown_time debug_level default_fallbacks
    default_litellm_params default_max_parallel_requests default_priority
    deployment_affinity_ttl_seconds disable_cooldowns enable_health_check_routing enable_pre_call_checks
    enable_tag_filtering enable_weighted_failover fallback_access_check fallback_budget_check fallbacks
    guardrail_list health_check_ignore_transient_errors health_check_staleness_threshold
    ignore_invalid_deployments max_fallbacks model_group_affinity_config model_group_alias
    model_group_retry_policy model_list num_retries optional_pre_call_checks plugins polling_interval
    provider_budget_config redis_db redis_host redis_password redis_port redis_url retry_after
    retry_policy router_general_settings routing_groups routing_strategy routing_strategy_args
    search_tools set_verbose stream_timeout tag_filtering_match_any tag_routing_prefix timeout
    """
)
"""What LiteLLM's router takes; a test compares them with it, as it does with the others here."""

PROVIDERS = _words(
    """
    a2a a2a_agent abliteration ai21 ai21_chat aihubmix aiml aiohttp_openai amazon_nova anthropic
    anthropic_text apertis assemblyai auto_router aws_polly aws_textract azure azure_ai azure_speech
    azure_text baseten bedrock bedrock_mantle black_forest_labs bytez cerebras charity_engine chatgpt
    chutes clarifai cloudflare codestral cognition cohere cohere_chat cometapi compactifai cortecs
    crusoe cursor custom custom_openai darkbloom dashscope databricks datarobot deepgram deepinfra
    deepseek docker_model_runner dotprompt edenai elevenlabs empiriolabs empower fal_ai featherless_ai
    fireworks_ai friendliai galadriel gdc gemini gigachat github github_copilot gmi gradient_ai groq
    helicone heroku hosted_vllm huggingface humanloop hyperbolic inception infinity jina_ai lambda_ai
    langflow langfuse langgraph lemonade libertai litellm_agent litellm_proxy llamafile llamagate
    lm_studio manus maritalk meta meta_llama milvus minimax mistral modelscope mongodb moonshot morph
    nadir nano-gpt nebius neosantara nlp_cloud novita nscale nvidia_nim nvidia_riva oci ollama
    ollama_chat oobabooga openai openai_like openrouter ovhcloud parasail perplexity petals pg_vector
    pinstripes poe predibase prism publicai qwen_ai_platform qwencloud ragflow recraft reducto reka
    replicate runwayml s3_vectors sagemaker sagemaker_chat sagemaker_nova sail sambanova sap sarvam
    scaleway scx-ai snowflake soniox stability strands_decider synthetic tencent tensormesh
    text-completion-codestral text-completion-inception text-completion-openai together_ai topaz
    transcribe triton typesafe v0 valkey veniceai vercel_ai_gateway vertex_ai vertex_ai_beta vllm
    volcengine voyage wandb watsonx watsonx_text xai xiaomi_mimo xinference zai
    """
)
"""What may stand before the first slash of a model, LiteLLM's JSON list of providers included."""

HOSTS = _words(
    """
    ai-gateway.helicone.ai ai-gateway.vercel.sh api-inference.modelscope.cn api.clarifai.com
    api.cognition.ai api.cortecs.ai api.deepinfra.com api.deepseek.com api.edenai.run
    api.endpoints.anyscale.com api.featherless.ai api.friendli.ai api.galadriel.ai api.getnadir.com
    api.groq.com api.hyperbolic.xyz api.inceptionlabs.ai api.inference.wandb.ai api.lambda.ai
    api.libertai.io api.llama.com api.meta.ai api.mistral.ai api.moonshot.ai api.morphllm.com
    api.perplexity.ai api.poe.com api.prisminference.com api.publicai.co api.reka.ai
    api.sailresearch.com api.sambanova.ai api.scx.ai api.stima.tech api.studio.nebius.ai
    api.synthetic.new api.together.ai api.together.xyz api.v0.dev api.x.ai app.empower.dev
    codestral.mistral.ai dashscope-intl.aliyuncs.com dashscope.aliyuncs.com gigachat.devices.sberbank.ru
    inference.api.nscale.com integrate.api.nvidia.com llm.chutes.ai nano-gpt.com ollama.com
    pinstripes.io serverless.tensormesh.ai
    """
)
"""Whose address tells LiteLLM the provider, whatever stands before the slash."""

ENTRY = ("model_name", "litellm_params", "model_info")
PARAMS = _words(
    """
    additional_drop_params api_base api_key api_version custom_llm_provider litellm_credential_name
    max_retries model order weight
    """
)
"""What decides where a call goes, and with which key. Names that LiteLLM does not know it passes on."""
_ALIKE = 0.85

_MOVED = ("health_check_interval", "health_check_concurrency")
_PICTURES = re.compile(r"(?:low|medium|high|standard|hd|\w+-x-\w+)/.+")
"""LiteLLM's names for models by what they draw, such as `1024-x-1024/dall-e-2`."""
_REPLICATE_ID_LENGTH = 64


def check_router_names(config: Mapping[str, Any]) -> None:
    """Refuses a setting that LiteLLM's router does not have.

    Raises:
        SettingsError: names the YAML path and the nearest name.
    """
    router = config.get("router_settings") or {}
    for name in _MOVED:
        if name in router:
            raise SettingsError(f"router_settings.{name}: LiteLLM wants it under general_settings. Move it.")
    refuse_unknown(router, ROUTER_SETTINGS, "router_settings")


def check_entry(entry: Mapping[Any, Any], path: str) -> None:
    """Refuses what is nearly the name of something that LiteLLM goes by, in an entry of `model_list`.

    Raises:
        SettingsError: names the YAML path and the name.
    """
    params = entry.get("litellm_params")
    _refuse_alike(entry, ENTRY, path)
    _refuse_alike(params if isinstance(params, dict) else {}, PARAMS, f"{path}.litellm_params")


def _refuse_alike(mapping: Mapping[Any, Any], known: tuple[str, ...], path: str) -> None:
    for key in mapping:
        if not isinstance(key, str) or key in known:
            continue
        if near := get_close_matches(key.lower(), known, n=1, cutoff=_ALIKE):
            raise SettingsError(f"{path}.{key[:60]}: unknown key. Did you mean {near[0]}?")


def own_providers(config: Mapping[str, Any]) -> tuple[str, ...]:
    """The names in `litellm_settings.custom_provider_map`."""
    entries = (config.get("litellm_settings") or {}).get("custom_provider_map")
    named = [entry.get("provider") for entry in entries or () if isinstance(entry, dict)]
    return tuple(name for name in named if isinstance(name, str))


def check_provider(
    params: Mapping[str, Any],
    model: str,
    own: tuple[str, ...],
    resolve: Callable[[object], object],
    path: str,
) -> None:
    """Refuses a provider that LiteLLM does not know. A model without a slash passes.

    Args:
        params: the deployment's `litellm_params`.
        model: their `model`, resolved.
        own: of `own_providers`.
        resolve: `os.environ/NAME` → its value, None when unset.

    Raises:
        SettingsError: names the YAML path and the nearest name.
    """
    known = (*PROVIDERS, *own)
    named = resolve(params.get("custom_llm_provider"))
    provider, at = (named, "custom_llm_provider") if named else (model.partition("/")[0], "model")
    if not isinstance(provider, str) or provider in known or (not named and "/" not in model):
        return
    if _is_known_otherwise(params, model, resolve):
        return
    near = get_close_matches(provider.lower(), known, n=1)
    mend = f"Did you mean {near[0]}?" if near else "Write openai for a server that speaks OpenAI's API."
    raise SettingsError(f"{path}.{at}: LiteLLM has no provider {shown(provider)}. {mend}")


def bare_names(config: Mapping[str, Any], resolve: Callable[[object], object]) -> list[tuple[str, str]]:
    """(YAML path, model) of deployments that leave the provider to be found by the model's name alone."""
    found = []
    for i, entry in enumerate(config.get("model_list") or ()):
        params = entry.get("litellm_params") if isinstance(entry, dict) else None
        if not isinstance(params, dict) or resolve(params.get("custom_llm_provider")):
            continue
        model = resolve(params.get("model"))
        if isinstance(model, str) and "/" not in model and not _is_known_otherwise(params, model, resolve):
            found.append((f"model_list[{i}].litellm_params.model", model))
    return found


def _is_known_otherwise(params: Mapping[str, Any], model: str, resolve: Callable[[object], object]) -> bool:
    """Whether LiteLLM may find the provider by something else than its name."""
    if params.get("use_litellm_proxy") or params.get("litellm_credential_name"):
        return True
    if "*" in model.partition("/")[0] or _PICTURES.fullmatch(model):
        return True
    if ":" in model and len(model) > _REPLICATE_ID_LENGTH:
        return True
    address = resolve(params.get("api_base"))
    try:
        return isinstance(address, str) and urlsplit(address).hostname in HOSTS
    except ValueError:
        return False
