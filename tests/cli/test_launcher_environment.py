"""What the children find in their environment."""

from pathlib import Path

import pytest

from scalix_callbacks.cli.child_environment import litellm_environment, plain_environment, worker_environment
from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.tiers import DEFAULT_TIERS
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.environment import read_environment
from scalix_callbacks.settings.misspelled import misspelled


def test_children_that_serve_no_provider_get_no_secret() -> None:
    """The keeper and the demo provider find what any program needs."""
    environ = {
        "PATH": "/bin",
        "PYTHONPATH": "x",
        "LC_ALL": "C",
        "OPENAI_API_KEY": "sk",
        "REDIS_URL": "redis://:p@h",
    }

    assert {"PATH": "/bin", "PYTHONPATH": "x", "LC_ALL": "C"} == plain_environment(environ)


def test_litellm_stays_at_home_unless_told_otherwise() -> None:
    """No database of its own, no .env of its own, no lists from the network, if nobody wants them."""
    values = {"DATABASE_URL": "postgresql://h/d", "DIRECT_URL": "x", "LITELLM_LOCAL_MODEL_COST_MAP": "False"}

    environment = litellm_environment({**values, "LITELLM_MODE": "DEV", "OTHER": "kept"})

    assert not {"DATABASE_URL", "DIRECT_URL"} & set(environment)
    assert "PRODUCTION" == environment["LITELLM_MODE"]
    assert "False" == environment["LITELLM_LOCAL_MODEL_COST_MAP"]
    assert "True" == environment["LITELLM_LOCAL_BLOG_POSTS"]
    assert "kept" == environment["OTHER"]


@pytest.mark.parametrize(
    ("variables", "level"),
    [({}, "WARNING"), ({"LITELLM_LOG_LEVEL": "info"}, "INFO"), ({"DEBUG_MODE": "true"}, "DEBUG")],
)
def test_a_worker_finds_what_really_holds(variables: dict[str, str], level: str, tmp_path: Path) -> None:
    """The key, the addresses as bound, the log level; no demo left from before, nothing misspelled."""
    values = {
        **variables,
        "SCALIX_DATA_DIR": str(tmp_path),
        "SCALIX_ENV": "development",
        "SCALIX_DEMO_URL": "old",
    }
    settings = Settings(read_environment(values), tmp_path / "c.yaml", DEFAULT_TIERS, Catalogue(()))

    environment = worker_environment(
        values,
        settings,
        master_key="sk-made",
        redis_url="unix:///r",
        metrics_dir=tmp_path / "metrics",
        host="0.0.0.0",
        port=4001,
    )

    assert ("sk-made", "unix:///r", "0.0.0.0", "4001", level) == tuple(
        environment[name]
        for name in ("LITELLM_MASTER_KEY", "SCALIX_REDIS_URL", "LITELLM_HOST", "LITELLM_PORT", "LITELLM_LOG")
    )
    assert str(tmp_path / "c.yaml") == environment["CONFIG_FILE_PATH"]
    assert f"sqlite:///{tmp_path / 'scalix.db'}" == environment["SCALIX_DATABASE_URL"]
    assert str(tmp_path / "metrics") == environment["PROMETHEUS_MULTIPROC_DIR"]
    assert "SCALIX_DEMO_URL" not in environment
    assert [] == list(misspelled(environment, {}))


def test_spans_go_out_by_http_under_our_name(tmp_path: Path) -> None:
    """Where they are exported at all; what the operator sets holds."""
    on = {
        "SCALIX_OTEL": "true",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://h:1",
        "SCALIX_DATA_DIR": str(tmp_path),
    }

    def found(values: dict[str, str]) -> list[str | None]:
        settings = Settings(read_environment(values), tmp_path / "c.yaml", DEFAULT_TIERS, Catalogue(()))
        environment = worker_environment(
            values, settings, master_key="k", redis_url="r", metrics_dir=tmp_path, host="h", port=1
        )
        return [environment.get(name) for name in ("OTEL_EXPORTER_OTLP_PROTOCOL", "OTEL_SERVICE_NAME")]

    assert [None, None] == found({"SCALIX_DATA_DIR": str(tmp_path)})
    assert ["http/protobuf", "scalix-gateway"] == found(on)
    assert ["http/protobuf", "mine"] == found({**on, "OTEL_SERVICE_NAME": "mine"})


def test_litellm_is_not_shown_a_clusters_address(tmp_path: Path) -> None:
    """It cannot read it; ours is told in a variable of our own."""
    url = "redis+cluster://a:1,b:2"
    values = {"SCALIX_DATA_DIR": str(tmp_path), "REDIS_URL": url}
    settings = Settings(read_environment(values), tmp_path / "c.yaml", DEFAULT_TIERS, Catalogue(()))

    environment = worker_environment(
        values,
        settings,
        master_key="sk-made",
        redis_url=url,
        metrics_dir=tmp_path / "metrics",
        host="0.0.0.0",
        port=4001,
    )

    assert "REDIS_URL" not in environment
    assert url == environment["SCALIX_REDIS_URL"]
