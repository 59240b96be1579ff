"""A wrong line of the YAML is one sentence that names its path and the mend."""

from pathlib import Path
from textwrap import dedent, indent

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings import SettingsError, load
from scalix_callbacks.settings.model_list import lint, read_catalogue
from scalix_callbacks.settings.tier_block import read_tiers
from scalix_callbacks.settings.yaml_file import read_config

MODELS = """
model_list:
  - model_name: free-a
    litellm_params: {model: openai/a, api_key: k}
  - model_name: gpt-4
    litellm_params: {model: openai/b, api_key: k}
"""


def written(folder: Path, text: str) -> Path:
    path = folder / "config.yaml"
    path.write_text(dedent(text))
    return path


def refusal(folder: Path, text: str, environ: dict[str, str] | None = None) -> str:
    with pytest.raises(SettingsError) as caught:
        load(environ or {}, config=written(folder, text), folder=folder)
    return str(caught.value).replace(f"{folder}/", "")


FREE = "scalix.tiers.free"


def tier(text: str) -> str:
    """A configuration whose free tier says `text`."""
    return f"{MODELS}scalix:\n  tiers:\n    free:\n{indent(dedent(text), '      ')}\n"


def params(text: str) -> str:
    """A configuration whose one model has these parameters."""
    return f"model_list:\n  - model_name: a\n    litellm_params: {{{text}}}\n"


PARAMS = "model_list[0].litellm_params"
WRONG = {
    "not a mapping": ("- a", "config.yaml: must be a mapping with keys such as model_list. Correct it."),
    "empty": ("", "config.yaml: must be a mapping with keys such as model_list. Correct it."),
    "no yaml": (
        "a: [1,",
        "config.yaml, line 1: expected the node content, but found '<stream end>'. Correct it.",
    ),
    "a tab": (
        "a:\n\t- b",
        "config.yaml, line 2: found character '\\t' that cannot start any token. Correct it.",
    ),
    "a key twice": ("a: 1\na: 2", "config.yaml, line 2: the key 'a' stands here twice. Correct it."),
    "itself": (
        "model_list: &a [*a]",
        "config.yaml: nested too deep or too large. Look for an alias (*) of itself.",
    ),
    "aliases without end": (
        "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
        + "".join(
            f"{y}: &{y} [{','.join([f'*{x}'] * 10)}]\n" for x, y in zip("abcdef", "bcdefg", strict=True)
        ),
        "config.yaml: nested too deep or too large. Look for an alias (*) of itself.",
    ),
    "a huge number": (f"a: 0x{'f' * 5_000}", "config.yaml: holds a number that is too large. Correct it."),
    "include": ("include: a.yaml", "config.yaml: include must be a list of file names. Correct it."),
    "included file": ("include: [b.yaml]", "b.yaml: no such file. Name an existing file with --config."),
    "no models": ("model_list: []", "model_list: names no models. Add at least one deployment."),
    "a model that is a text": (
        "model_list: [a]",
        "model_list[0]: must be a mapping with model_name and litellm_params. Correct it.",
    ),
    "no model_name": (
        "model_list: [{litellm_params: {model: a}}]",
        "model_list[0].model_name: must be a name without commas, e.g. free-gemini-flash. Correct it.",
    ),
    "a comma in model_name": (
        "model_list: [{model_name: 'a,b', litellm_params: {model: a}}]",
        "model_list[0].model_name: must be a name without commas, e.g. free-gemini-flash. Correct it.",
    ),
    "no litellm_params": (
        "model_list: [{model_name: a}]",
        f"{PARAMS}: missing. Add it with at least model.",
    ),
    "no model": (params("api_key: k"), f"{PARAMS}.model: missing. Write e.g. gemini/gemini-2.5-flash."),
    "openai-compatible": (
        params("model: openai-compatible/x"),
        f"{PARAMS}.model: LiteLLM has no provider openai-compatible. Write openai/x with api_base.",
    ),
    "${VAR}": (
        params('model: openai/x, api_key: "${MY_KEY}"'),
        f"{PARAMS}.api_key: LiteLLM does not read ${{MY_KEY}}. Write os.environ/MY_KEY.",
    ),
    "os.environ in a text": (
        params("model: openai/x, api_base: 'https://os.environ/HOST/v1'"),
        f"{PARAMS}.api_base: LiteLLM reads os.environ/NAME only as the whole value of a key. Move all of it"
        " into the variable.",
    ),
    "more than os.environ": (
        params("model: openai/x, api_base: 'os.environ/HOST:8000'"),
        f"{PARAMS}.api_base: LiteLLM reads os.environ/NAME only as the whole value of a key. Move all of it"
        " into the variable.",
    ),
    "os.environ in a list": (
        f"{MODELS}litellm_settings: {{callbacks: [os.environ/X]}}",
        "litellm_settings.callbacks[0]: LiteLLM reads os.environ/NAME only as the whole value of a key. Move"
        " all of it into the variable.",
    ),
    "model_info.tier": (
        "model_list: [{model_name: a, litellm_params: {model: openai/a}, model_info: {tier: pro}}]",
        "model_list[0].model_info.tier: LiteLLM reserves this field and drops the model. Tiers name their"
        " models under scalix.tiers; use access_tier for a note.",
    ),
    "model_info": (
        "model_list: [{model_name: a, litellm_params: {model: openai/a}, model_info: x}]",
        "model_list[0].model_info: must be a mapping. Correct it.",
    ),
    "section name": (
        f"{MODELS}router_settings: [x]",
        "router_settings: must be a mapping. Correct it.",
    ),
    "free_tier_limits": (
        f"{MODELS}router_settings: {{free_tier_limits: {{rpm: 1}}}}",
        "router_settings.free_tier_limits: LiteLLM ignores it. Write the limits under"
        " scalix.tiers.free.limits.",
    ),
    "custom_auth": (
        f"{MODELS}general_settings: {{custom_auth: my.auth}}",
        "general_settings.custom_auth: only scalix_callbacks.plugin.authenticate may decide who calls. Remove"
        " the line.",
    ),
    "database_url": (
        f"{MODELS}general_settings: {{database_url: 'postgresql://h/d'}}",
        "general_settings.database_url: LiteLLM would want Prisma. Set SCALIX_DATABASE_URL instead.",
    ),
    "master_key": (
        f"{MODELS}general_settings: {{master_key: 1234}}",
        "general_settings.master_key: must be a text. Write os.environ/LITELLM_MASTER_KEY.",
    ),
    "callbacks": (
        f"{MODELS}litellm_settings: {{callbacks: prometheus}}",
        "litellm_settings.callbacks: must be a list; a single name replaces all. Write a list.",
    ),
    "always_include_stream_usage": (
        f"{MODELS}general_settings: {{always_include_stream_usage: false}}",
        "general_settings.always_include_stream_usage: the ledger needs LiteLLM's default. Remove the line.",
    ),
    "default_fallbacks": (
        f"{MODELS}router_settings: {{default_fallbacks: [gpt-4]}}",
        "router_settings.default_fallbacks: would lead callers out of their tier. Write a chain for each"
        " model.",
    ),
    "fallbacks": (
        f"{MODELS}router_settings: {{fallbacks: {{free-a: [gpt-4]}}}}",
        "router_settings.fallbacks: must be a list such as [{gpt-4: [claude-3-opus]}]. Correct it.",
    ),
    "fallback entry": (
        f"{MODELS}router_settings: {{fallbacks: [free-a]}}",
        "router_settings.fallbacks[0]: must be a mapping such as {gpt-4: [claude-3-opus]}. Correct it.",
    ),
    "fallback chain": (
        f"{MODELS}router_settings: {{fallbacks: [{{free-a: gpt-4}}]}}",
        "router_settings.fallbacks[0].free-a: must be a list of model names. Correct it.",
    ),
    "unknown fallback": (
        f"{MODELS}router_settings: {{fallbacks: [{{gpt-4: [gpt-3]}}]}}",
        "router_settings.fallbacks[0].gpt-4: there is no model 'gpt-3' in model_list. Correct the name.",
    ),
    "fallback to itself": (
        f"{MODELS}router_settings: {{fallbacks: [{{gpt-4: [free-a, gpt-4]}}]}}",
        "router_settings.fallbacks[0].gpt-4: gpt-4 falls back to itself. Remove it from its chain.",
    ),
    "default_fallbacks of litellm_settings": (
        f"{MODELS}litellm_settings: {{default_fallbacks: [gpt-4]}}",
        "litellm_settings.default_fallbacks: would lead callers out of their tier. Write a chain for each"
        " model.",
    ),
    "content fallback out of the tier": (
        f"{MODELS}router_settings: {{content_policy_fallbacks: [{{free-a: [gpt-4]}}]}}",
        "content_policy_fallbacks: free-a falls back to gpt-4, which tier 'free' does not have although it"
        " has free-a. Remove gpt-4 from the chain or add it to scalix.tiers.free.models.",
    ),
    "fallback out of the tier": (
        f"{MODELS}router_settings: {{fallbacks: [{{free-a: [gpt-4]}}]}}",
        "fallbacks: free-a falls back to gpt-4, which tier 'free' does not have although it has free-a."
        " Remove gpt-4 from the chain or add it to scalix.tiers.free.models.",
    ),
    "context fallback out of the tier": (
        f"{MODELS}litellm_settings: {{context_window_fallbacks: [{{free-a: [gpt-4]}}]}}",
        "context_window_fallbacks: free-a falls back to gpt-4, which tier 'free' does not have although it"
        " has free-a. Remove gpt-4 from the chain or add it to scalix.tiers.free.models.",
    ),
    "alias": (
        f"{MODELS}router_settings: {{model_group_alias: {{x: nosuch}}}}",
        "router_settings.model_group_alias.x: there is no model 'nosuch'. Name one of model_list.",
    ),
    "aliases": (
        f"{MODELS}router_settings: {{model_group_alias: [x]}}",
        "router_settings.model_group_alias: must be a mapping. Correct it.",
    ),
    "credential_list": (f"{MODELS}credential_list: x", "credential_list: must be a list. Correct it."),
    "credential without a name": (
        f"{MODELS}credential_list: [{{credential_values: {{}}}}]",
        "credential_list[0].credential_name: missing. Add a name.",
    ),
    "credential values": (
        f"{MODELS}credential_list: [{{credential_name: a, credential_values: k}}]",
        "credential_list[0].credential_values: must be a mapping such as {api_key: os.environ/KEY}. Add it.",
    ),
    "credential info": (
        f"{MODELS}credential_list: [{{credential_name: a, credential_values: {{}}}}]",
        "credential_list[0].credential_info: must be a mapping such as {}. Add it.",
    ),
    "credential that is none": (
        params("model: openai/x, litellm_credential_name: opnai"),
        f"{PARAMS}.litellm_credential_name: there is no credential 'opnai' in credential_list."
        " Correct the name.",
    ),
    "misspelled section": (
        f"{MODELS}router_setting: {{}}",
        "'router_setting': unknown key. Did you mean router_settings?",
    ),
    "scalix": (f"{MODELS}scalix: [x]", "scalix: must be a mapping. Correct it."),
    "scalix key": (f"{MODELS}scalix: {{teirs: {{}}}}", "scalix.teirs: unknown key. Did you mean tiers?"),
    "tier name": (
        f"{MODELS}scalix: {{tiers: {{'my tier': {{}}}}}}",
        "scalix.tiers.my tier: a tier's name is a word of letters, digits and _. Rename it.",
    ),
    "tier name number": (
        f"{MODELS}scalix: {{tiers: {{1: {{}}}}}}",
        "scalix.tiers.1: a tier's name is a word of letters, digits and _. Rename it.",
    ),
    "new tier": (
        f"{MODELS}scalix: {{tiers: {{gold: {{}}}}}}",
        "scalix.tiers.gold.models: a new tier must name its models, e.g. ['free-*']. Add them.",
    ),
    "tier key": (tier("limit: []"), f"{FREE}.limit: unknown key. Did you mean limits?"),
    "models": (tier("models: free-*"), f"{FREE}.models: must be a list. Correct it."),
    "model pattern": (
        tier("models: ['a,b']"),
        f"{FREE}.models[0]: must be a model name or pattern such as free-*. Correct it.",
    ),
    "two limits": (
        tier(
            "limits: [{amount: 1, unit: requests, window: 1h}, {amount: 2, unit: requests, window_s: 3600}]"
        ),
        f"{FREE}.limits[1]: there are two limits on requests in 3600 s. Remove one.",
    ),
    "two limits in shadow": (
        tier(
            "limits: [{amount: 1, unit: requests, window: 1h, shadow: true},"
            " {amount: 2, unit: requests, window: 1h}, {amount: 3, unit: requests, window: 1h, shadow: true}]"
        ),
        f"{FREE}.limits[2]: there are two limits on requests in 3600 s in shadow. Remove one.",
    ),
    "shadow": (
        tier("limits: [{amount: 1, unit: requests, window: 1h, shadow: 'yes'}]"),
        f"{FREE}.limits[0].shadow: 'yes' must be true or false. Correct it.",
    ),
    "limit without unit": (
        tier("limits: [{amount: 1, window: 1h}]"),
        f"{FREE}.limits[0]: a limit needs amount, unit and window. Add what is missing.",
    ),
    "limit without window": (
        tier("limits: [{amount: 1, unit: requests}]"),
        f"{FREE}.limits[0]: a limit needs one of window (e.g. 1h) and window_s. Correct it.",
    ),
    "limit key": (
        tier("limits: [{amount: 1, unit: requests, windows: 1h}]"),
        f"{FREE}.limits[0].windows: unknown key. Did you mean window_s?",
    ),
    "unit": (
        tier("limits: [{amount: 1, unit: calls, window: 1h}]"),
        f"{FREE}.limits[0].unit: 'calls' is unknown. Write one of requests, tokens, usd.",
    ),
    "amount": (
        tier("limits: [{amount: ten, unit: requests, window: 1h}]"),
        f"{FREE}.limits[0].amount: 'ten' is not a number. Write e.g. 10.",
    ),
    "negative amount": (
        tier("limits: [{amount: -1, unit: requests, window: 1h}]"),
        f"{FREE}.limits[0].amount: -1 must be a whole number from 0 to 9007199254740991. Correct it.",
    ),
    "broken amount": (
        tier("limits: [{amount: 1.5, unit: requests, window: 1h}]"),
        f"{FREE}.limits[0].amount: 1.5 must be a whole number from 0 to 9007199254740991. Correct it.",
    ),
    "endless amount": (
        tier("limits: [{amount: .inf, unit: requests, window: 1h}]"),
        f"{FREE}.limits[0].amount: inf must be a whole number from 0 to 9007199254740991. Correct it.",
    ),
    "overflowing amount": (
        tier("limits: [{amount: '1e999999', unit: usd, window: 1h}]"),
        f"{FREE}.limits[0].amount: '1e999999' is not a number. Write e.g. 10.",
    ),
    "window": (
        tier("limits: [{amount: 1, unit: requests, window: soon}]"),
        f"{FREE}.limits[0].window: 'soon' is no duration. Write e.g. 1h or 1d.",
    ),
    "window of nothing": (
        tier("limits: [{amount: 1, unit: requests, window_s: 0}]"),
        f"{FREE}.limits[0].window: must be 1 second to 366 days. Write e.g. 1h or 1d.",
    ),
    "window of years": (
        tier("limits: [{amount: 1, unit: requests, window: 3000d}]"),
        f"{FREE}.limits[0].window: must be 1 second to 366 days. Write e.g. 1h or 1d.",
    ),
    "feature": (
        tier("features: [magic]"),
        f"{FREE}.features[0]: 'magic' is unknown. Write one of lazy_edits, smart_context, advanced_reasoning,"
        " priority_processing, full_analytics.",
    ),
    "output tokens": (
        tier("default_output_tokens: 0"),
        f"{FREE}.default_output_tokens: must be a whole number of tokens above 0, or null. Correct it.",
    ),
    "most output tokens": (
        tier("max_output_tokens: many"),
        f"{FREE}.max_output_tokens: must be a whole number of tokens above 0, or null. Correct it.",
    ),
    "upgrade_to": (
        tier("upgrade_to: gold"),
        f"{FREE}.upgrade_to: there is no other tier 'gold'. Name one of pro, premium.",
    ),
    "upgrade_to itself": (
        tier("upgrade_to: free"),
        f"{FREE}.upgrade_to: there is no other tier 'free'. Name one of pro, premium.",
    ),
    "upgrade_url": (
        tier("upgrade_url: 'javascript:alert(1)'"),
        f"{FREE}.upgrade_url: 'javascript:alert(1)' is no web address. Write e.g. https://example.com/pro.",
    ),
    "upgrade_url broken": (
        tier("upgrade_url: 'https://[::1'"),
        f"{FREE}.upgrade_url: 'https://[::1' is no web address. Write e.g. https://example.com/pro.",
    ),
    "cache": (
        tier("cache: everybody"),
        f"{FREE}.cache: 'everybody' is unknown. Write one of own, shared, off.",
    ),
    "on_store_lost": (
        tier("on_store_lost: ignore"),
        f"{FREE}.on_store_lost: 'ignore' is unknown. Write one of refuse, admit.",
    ),
}


@pytest.mark.parametrize(
    ("text", "expected"), [("off", "off"), ("'off'", "off"), ("shared", "shared"), ("own", "own")]
)
def test_a_tier_says_who_shares_its_answers(text: str, expected: str, tmp_path: Path) -> None:
    """YAML's own reading of a bare `off` is meant as it stands there."""
    found = load({}, config=written(tmp_path, tier(f"cache: {text}")), folder=tmp_path)

    assert ("own", expected) == (DEFAULT_TIERS["free"].cache, found.tiers["free"].cache)


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_line_is_named_with_the_mend(case: str, tmp_path: Path) -> None:
    """One clear line, and nothing starts."""
    text, sentence = WRONG[case]

    assert sentence == refusal(tmp_path, text)


@pytest.mark.parametrize(
    ("address", "end"),
    [
        (
            "http://127.0.0.1:4000/v1",
            "points at this server itself. Name the upstream's address or remove it.",
        ),
        ("http://localhost:4000", "points at this server itself. Name the upstream's address or remove it."),
        ("localhost:4000", "must be an address such as https://host/v1. Correct it."),
        ("http://[::1", "must be an address such as https://host/v1. Correct it."),
    ],
)
def test_an_engine_that_is_this_server_is_refused(address: str, end: str, tmp_path: Path) -> None:
    """Every call would go round for ever."""
    in_yaml = params("model: openai/x, api_base: os.environ/MY_BASE")

    assert f"SCALIX_ENGINE_URL: {end}" == refusal(tmp_path, MODELS, {"SCALIX_ENGINE_URL": address})
    assert f"MY_BASE: {end}" == refusal(tmp_path, in_yaml, {"MY_BASE": address})
    assert f"{PARAMS}.api_base: {end}" == refusal(tmp_path, params(f"model: openai/x, api_base: '{address}'"))


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    """A directory, a binary file and a circle of links are no configuration."""
    binary, circle = tmp_path / "binary.yaml", tmp_path / "circle.yaml"
    binary.write_bytes(b"\xff\xfe\x00")
    circle.symlink_to(circle)
    sentences = []
    for path in (tmp_path, binary, circle, tmp_path / "none.yaml", Path("a\0b")):
        with pytest.raises(SettingsError) as caught:
            read_config(path)
        sentences.append(str(caught.value).removeprefix(str(tmp_path)).split(": ", 1)[1])

    assert [
        "not a text file in UTF-8. Name a YAML file with --config.",
        "not a text file in UTF-8. Name a YAML file with --config.",
        "no such file. Name an existing one.",
        "no such file. Name an existing file with --config.",
        "no such file. Name an existing one.",
    ] == sentences


def test_includes_are_merged_as_litellm_merges_them(tmp_path: Path) -> None:
    """Lists are joined, the file included last wins elsewhere, and a circle ends."""
    (tmp_path / "b.yaml").write_text("include: [config.yaml]\nmodel_list: [2]\na: {x: 2}\n")
    path = written(tmp_path, "include: [b.yaml]\nmodel_list: [1]\na: {x: 1}\n")

    assert {"model_list": [1, 2], "a": {"x": 2}} == read_config(path)


def test_what_is_left_out_has_the_defaults() -> None:
    """One changed value leaves the rest of its tier, and the other tiers, as the contract has them."""
    tiers = read_tiers({"tiers": {"free": {"upgrade_url": "https://a.example/x"}}})

    assert DEFAULT_TIERS["free"].limits == tiers["free"].limits
    assert "https://a.example/x" == tiers["free"].upgrade_url
    assert DEFAULT_TIERS["pro"] == tiers["pro"]


def test_usd_are_counted_in_nano_usd_without_rounding() -> None:
    """0.1 USD is exactly 100,000,000 nano-USD."""
    limits = [{"amount": 0.1, "unit": "usd", "window": "1mo"}]

    (limit,) = read_tiers({"tiers": {"free": {"limits": limits}}})["free"].limits
    assert (100_000_000, 30 * 86_400) == (limit.amount, limit.window_s)


# --- anything else --------------------------------------------------------------------------------------

leaves = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text(max_size=20)
    | st.sampled_from(["os.environ/X", "${X}", "free-*", "1h", "requests", "openai/x", "gpt-4", "1e999999"])
)
KEYS = (
    "model_list model_name litellm_params model api_key api_base model_info tier credential_list",
    "credential_name litellm_credential_name custom_llm_provider include router_settings fallbacks",
    "default_fallbacks model_group_alias general_settings master_key litellm_settings callbacks scalix tiers",
    "free gold models limits amount unit window window_s features upgrade_to upgrade_url on_store_lost cache",
)
keys = st.sampled_from([key for line in KEYS for key in line.split()])
junk = st.recursive(
    leaves, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys | leaves, inner, max_size=4)
)
ENTRY = st.fixed_dictionaries(
    {"model_name": junk, "litellm_params": st.fixed_dictionaries({"model": leaves}, optional={
        "api_key": junk, "litellm_credential_name": junk, "custom_llm_provider": junk, "api_base": junk,
    })}, optional={"model_info": junk},
)  # fmt: skip
CONFIG = st.fixed_dictionaries(
    {"model_list": st.lists(ENTRY, min_size=1, max_size=2)},
    optional={
        "router_settings": junk,
        "litellm_settings": junk,
        "general_settings": junk,
        "credential_list": junk,
        "scalix": st.fixed_dictionaries(
            {"tiers": st.fixed_dictionaries({"free": st.dictionaries(keys, junk)})}
        ),
    },
)


@settings(deadline=None, max_examples=300)
@given(CONFIG | junk)
def test_any_configuration_is_read_or_refused_in_one_line(config: object) -> None:
    """Whatever structure a file holds, there are settings or one sentence."""
    if not isinstance(config, dict) or not all(isinstance(key, str) for key in config):
        config = {"model_list": config, "scalix": config, "router_settings": config}
    for read in (
        lambda: lint(config),
        lambda: read_catalogue(config, DEFAULT_TIERS, {"X": "x"}),
        lambda: read_tiers(config.get("scalix")),
    ):
        try:
            read()
        except SettingsError as error:
            assert "\n" not in str(error)


@settings(deadline=None, max_examples=300)
@given(text=st.text() | junk.map(lambda value: yaml.safe_dump(value, allow_unicode=True)))
def test_any_file_is_read_or_refused_in_one_line(text: str, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever characters a file holds."""
    path = tmp_path_factory.mktemp("config") / "config.yaml"
    path.write_text(text, encoding="utf-8", errors="replace")
    try:
        load({}, config=path, folder=path.parent)
    except SettingsError as error:
        assert "\n" not in str(error)
