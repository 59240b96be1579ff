"""What a person reads."""

import dataclasses
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from scalix_callbacks.cli.banner import chat_model, models_text, ready_text, tiers_text
from scalix_callbacks.cli.key_source import KeySource, find_key
from scalix_callbacks.core.catalogue import Catalogue, Deployment, Model
from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings import Environment, Settings
from scalix_callbacks.settings.environment import DEMO_MASTER_KEY, read_environment

KEY = "sk-operator-0123456789"


def model(name: str, missing: str | None = None) -> Model:
    return Model(name, (Deployment(name, f"openai/{name}", "model_list[0]", missing),))


MODELS = (
    model("text-embedding-3"),
    model("free-*"),
    model("free-without", "GEMINI_API_KEY"),
    model("it's"),
    model("listens"),
    model("free-chat"),
)


@pytest.fixture
def environment(tmp_path: Path) -> Environment:
    return read_environment({"SCALIX_DATA_DIR": str(tmp_path / "data"), "LITELLM_MASTER_KEY": KEY})


@pytest.fixture
def settings(environment: Environment, tmp_path: Path) -> Settings:
    config = {"model_list": [{"model_name": "listens", "model_info": {"mode": "audio_transcription"}}]}
    return Settings(environment, tmp_path / "config.yaml", DEFAULT_TIERS, Catalogue(MODELS), config=config)


def test_tiers_are_told_with_their_limits() -> None:
    """As a person would say them."""
    settings = Settings(read_environment({}), Path("x"), DEFAULT_TIERS, Catalogue(MODELS))

    lines = tiers_text(settings).splitlines()

    assert "  free     10 requests/hour, 50 requests/day, 10,000 tokens/day; models free-*" == lines[1]
    assert "  premium  no limits; models *" == lines[3]


def test_models_without_credentials_say_what_they_lack(settings: Settings) -> None:
    """The ready ones in one line, the others by what would make them ready."""
    lines = models_text(settings).splitlines()

    assert "Models with credentials: text-embedding-3, free-*, it's, listens, free-chat" == lines[0]
    assert "  GEMINI_API_KEY  free-without" == lines[2]


def test_the_curl_takes_a_model_that_chats(settings: Settings) -> None:
    """No pattern, none without credentials, no embeddings, nothing a shell would misread."""
    assert "free-chat" == chat_model(settings.catalogue.models, settings.config)
    assert chat_model(settings.catalogue.models[:-1], settings.config) is None


def test_the_ready_text_holds_no_key(settings: Settings) -> None:
    """Where the key and the status page are, and a curl a shell puts it into."""
    text = ready_text(settings, url="http://h:1", key=KeySource("in a drawer", "$(drawer)"))

    assert KEY not in text
    assert "Master key       in a drawer" in text
    assert "Status page      http://h:1/scalix/" in text
    assert '-H "Authorization: Bearer $(drawer)"' in text
    assert text.endswith("To stop it: Ctrl-C")
    assert "\033" not in text
    assert "DEMO" not in text


def test_a_demo_says_so_first(settings: Settings) -> None:
    """Above all else, and that its key is published where it is."""
    published = dataclasses.replace(settings.environment, master_key=DEMO_MASTER_KEY)
    key = KeySource("published", DEMO_MASTER_KEY)

    own = ready_text(dataclasses.replace(settings, is_demo=True), url="u", key=key)
    public = ready_text(dataclasses.replace(settings, is_demo=True, environment=published), url="u", key=key)

    assert "DEMO: no model is called." in own.splitlines()[1]
    assert "published and protects nothing" not in own
    assert "published and protects nothing" in public.splitlines()[2]


def test_no_credentials_at_all_are_told(settings: Settings) -> None:
    """It starts, and says that nothing can be called yet."""
    bare = dataclasses.replace(settings, catalogue=Catalogue((model("free-x", "GEMINI_API_KEY"),)))

    text = ready_text(bare, url="http://h:1", key=KeySource("x", "$X"))

    assert "No model can be called yet" in text
    assert "curl -sS http://h:1/v1/models" in text


def test_a_key_of_the_environment_is_named(settings: Settings, tmp_path: Path) -> None:
    """The shell has it already."""
    found = find_key(settings, {"LITELLM_MASTER_KEY": KEY}, None, tmp_path / "master_key")

    assert "$LITELLM_MASTER_KEY" == found.shell


def test_a_key_of_an_env_file_can_be_read_as_printed(settings: Settings, tmp_path: Path) -> None:
    """The shell does not have it: the printed command reads it, whatever quotes the file has."""
    file = tmp_path / "with space.env"
    file.write_text(f"export LITELLM_MASTER_KEY='{KEY}'  # a comment\n")

    found = find_key(settings, {}, file, tmp_path / "master_key")

    assert found.shell is not None
    assert KEY not in found.shell + found.place
    assert sys.executable in found.shell
    words = shlex.split(found.shell.removeprefix("$(").removesuffix(")"))
    assert f"{KEY}\n" == subprocess.run(words, capture_output=True, text=True, check=True).stdout


def test_other_keys_are_told_by_their_place(settings: Settings, tmp_path: Path) -> None:
    """A made one by its file, the demo's literally, one of the YAML by its path there."""
    kept = tmp_path / "a b"

    def found_for(key: str | None) -> KeySource:
        environment = dataclasses.replace(settings.environment, master_key=key)
        return find_key(dataclasses.replace(settings, environment=environment), {}, None, kept)

    assert f"$(cat '{kept}')" == found_for(None).shell
    assert DEMO_MASTER_KEY == found_for(DEMO_MASTER_KEY).shell
    assert KeySource(f"general_settings.master_key in {tmp_path / 'config.yaml'}", None) == found_for(KEY)


def test_a_developers_gateway_says_so(settings: Settings) -> None:
    """So that nobody takes it for the real one."""
    key = KeySource("x", "$X")
    developing = dataclasses.replace(settings.environment, is_development=True)

    assert "DEVELOPMENT" not in ready_text(settings, url="u", key=key)
    assert "DEVELOPMENT: every caller can make its calls fail with X-Scalix-Simulate." in ready_text(
        dataclasses.replace(settings, environment=developing), url="u", key=key
    )
