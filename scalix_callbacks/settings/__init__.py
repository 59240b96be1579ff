"""Environment and YAML → frozen, validated Settings; the one reader of both."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scalix_callbacks.core.catalogue import Catalogue
from scalix_callbacks.core.pricing import PriceTable
from scalix_callbacks.core.tiers import TierTable
from scalix_callbacks.settings.auto_block import AutoSettings, read_auto
from scalix_callbacks.settings.env_files import with_env_files
from scalix_callbacks.settings.environment import Environment, read_environment
from scalix_callbacks.settings.errors import SettingsError
from scalix_callbacks.settings.litellm_values import check_litellms_redis
from scalix_callbacks.settings.model_list import (
    DefaultCredentials,
    check_engine_addresses,
    read_catalogue,
    resolve,
)
from scalix_callbacks.settings.price_block import read_prices
from scalix_callbacks.settings.rollout_block import RolloutSettings, read_rollout
from scalix_callbacks.settings.tier_block import read_tiers
from scalix_callbacks.settings.unpriced import check_priced, unpriced_models
from scalix_callbacks.settings.yaml_file import read_config

__all__ = ["DEFAULT_CONFIG", "Environment", "Settings", "SettingsError", "load"]

DEFAULT_CONFIG = Path(__file__).parents[2] / "litellm_proxy_config.yaml"


@dataclass(frozen=True, slots=True)
class Settings:
    """All that configures one gateway.

    Attributes:
        environment: the checked values of the environment.
        config_path: the YAML they stand with.
        config: the YAML's data with its includes merged, `os.environ/…` unresolved.
        tiers, catalogue: what the YAML says of them, checked against each other.
        prices: what users pay.
        auto: how auto mode is set.
        rollout: which flags there are, and what rolls them back.
        is_demo: every model is served by the demo provider.
    """

    environment: Environment
    config_path: Path
    tiers: TierTable
    catalogue: Catalogue
    is_demo: bool = False
    config: Mapping[str, Any] = field(default_factory=dict, repr=False)
    prices: PriceTable = field(default_factory=PriceTable, compare=False, repr=False)
    auto: AutoSettings = field(default_factory=AutoSettings)
    rollout: RolloutSettings = field(default_factory=RolloutSettings)

    @property
    def database_url(self) -> str:
        return self.environment.database_url

    @property
    def unpriced(self) -> tuple[str, ...]:
        """Models of which nobody knows what users pay, in tiers that are paid by use."""
        return unpriced_models(self.catalogue, self.tiers, self.prices)

    @property
    def data_dir(self) -> Path:
        return self.environment.data_dir


def load(
    environ: Mapping[str, str],
    *,
    config: Path | None = None,
    env_file: Path | None = None,
    reads_env_files: bool = True,
    overrides: Mapping[str, str] | None = None,
    is_demo: bool = False,
    has_default_credentials: DefaultCredentials | None = None,
    folder: Path | None = None,
) -> Settings:
    """Reads and checks everything; touches nothing but files, and those only to read.

    Args:
        environ: the process's environment; it wins over env files.
        config: the YAML; None: the project's own.
        env_file: instead of the default env files in `folder` (None: the working directory).
        reads_env_files: False: `environ` is complete, such as a worker's, which its launcher made.
        overrides: settings from the command line, by their names; they win over everything.
        is_demo: accept the published key and count every model as ready.
        has_default_credentials: see `read_catalogue`.

    Raises:
        SettingsError: one sentence: what, where, how to mend it.
    """
    values = with_env_files(environ, env_file, folder or Path.cwd()) if reads_env_files else dict(environ)
    values.update(overrides or {})
    try:
        path = (config or DEFAULT_CONFIG).expanduser().absolute()
    except RuntimeError:  # ~somebody, and there is no such user
        raise SettingsError(f"--config {config}: no such file. Name an existing one.") from None
    data = read_config(path)
    tiers = read_tiers(data.get("scalix"))
    prices = read_prices(data.get("scalix"), tiers)
    general = data.get("general_settings")
    yaml_key = resolve(general.get("master_key"), values) if isinstance(general, dict) else None
    if yaml_key is not None and not isinstance(yaml_key, str):
        raise SettingsError(
            "general_settings.master_key: must be a text. Write os.environ/LITELLM_MASTER_KEY."
        )
    environment = read_environment(values, is_demo=is_demo, yaml_master_key=yaml_key)
    check_litellms_redis(data, environment.redis_url)
    catalogue = read_catalogue(data, tiers, values, has_default_credentials)
    check_priced(catalogue, tiers, prices)
    auto = read_auto(data.get("scalix"), catalogue)
    rollout = read_rollout(data.get("scalix"))
    if is_demo:
        catalogue = catalogue.all_ready()
    else:
        check_engine_addresses(data, values, environment.host, environment.port)
    return Settings(environment, path, tiers, catalogue, is_demo, data, prices, auto, rollout)
