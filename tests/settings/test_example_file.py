"""The example file and the list of settings say the same."""

from pathlib import Path

from dotenv import dotenv_values

from scalix_callbacks.settings.variables import SETTINGS, Setting

EXAMPLE = Path(__file__).parents[2] / "scalix_config.env.example"
HEADER = (
    "# Settings of the Scalix Gateway. Copy to scalix_config.env and take out the # of what you set.\n"
    "# The environment wins over this file; command line options win over both.\n"
)


def entry(setting: Setting) -> str:
    """One setting as the file shows it: sentence, unit, default, and the line to take the # from."""
    unit = f" Unit: {setting.unit}." if setting.unit else ""
    default = "unset" if setting.default is None else setting.default
    return f"\n# {setting.sentence}{unit} Default: {default}.\n#{setting.name}={setting.default or ''}\n"


def test_the_example_file_documents_every_setting() -> None:
    """An operator finds every setting there is, and none that there is not."""
    assert HEADER + "".join(map(entry, SETTINGS)) == EXAMPLE.read_text(encoding="utf-8")


def test_the_example_file_sets_nothing_as_it_stands() -> None:
    """Copied unchanged it leaves all defaults."""
    assert {} == dotenv_values(EXAMPLE)


def test_the_names_of_the_contract_are_settings() -> None:
    """Spec A2 names them; operators' scripts depend on them."""
    contract = (
        "LITELLM_MASTER_KEY LITELLM_HOST LITELLM_PORT GEMINI_API_KEY DEEPSEEK_API_KEY OPENROUTER_API_KEY"
        " OPENAI_API_KEY ANTHROPIC_API_KEY AZURE_API_KEY AZURE_API_BASE OLLAMA_BASE_URL LMSTUDIO_BASE_URL"
        " SCALIX_PRO_API_KEY SCALIX_ENGINE_URL SCALIX_GATEWAY_URL REDIS_URL REDIS_HOST REDIS_PORT"
        " REDIS_PASSWORD SCALIX_DATABASE_URL LITELLM_MAX_WORKERS SCALIX_ENV DEBUG_MODE LITELLM_LOG_LEVEL"
        " LITELLM_LOG_FILE"
    )

    assert set() == set(contract.split()) - {setting.name for setting in SETTINGS}
