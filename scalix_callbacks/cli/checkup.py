"""The verdict of --check: would a start do? Nothing is started or made."""

from collections.abc import Mapping

from scalix_callbacks.cli.banner import models_text, tiers_text
from scalix_callbacks.cli.child_environment import LITELLM_DATABASES
from scalix_callbacks.cli.console import Console
from scalix_callbacks.cli.data_dir import DataDir
from scalix_callbacks.cli.embedded_redis import redis_server
from scalix_callbacks.cli.external_redis import check_redis, setting_of
from scalix_callbacks.cli.ledger_database import check_place, opened, sqlite_file
from scalix_callbacks.cli.listener import bind
from scalix_callbacks.cli.log_place import check_log_places
from scalix_callbacks.cli.running import find_running
from scalix_callbacks.cli.start_rules import check_demo_address
from scalix_callbacks.cli.unknown_models import unknown_models
from scalix_callbacks.ledger.database import DatabaseError, SchemaState, schema_state
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.misspelled import misspelled


def check(settings: Settings, values: Mapping[str, str], console: Console) -> int:
    """Says what a start would find. Returns 0.

    Raises:
        StartError, DatabaseError: what would stop the start.
    """
    data_dir = DataDir(settings.data_dir)
    environment = settings.environment
    check_demo_address(settings)
    data_dir.check()
    check_log_places(environment)
    running = find_running(data_dir)
    if running is None or running.state is None or not running.state.url.endswith(f":{environment.port}"):
        bind(environment.host, environment.port).close()
    if environment.redis_url is None:
        redis = f"embedded ({redis_server()})"
    else:
        check_redis(environment.redis_url, setting_of(values))
        redis = "answers"
    _check_database(settings)

    console.say(tiers_text(settings))
    console.say(models_text(settings))
    console.say(f"Redis: {redis}")
    if running is not None:
        console.say(f"Note: a gateway runs on {data_dir.path} now (pid {running.pid}).")
    for name in LITELLM_DATABASES:
        if values.get(name):
            console.say(f"Note: {name} is not passed on; set SCALIX_DATABASE_URL for a database.")
    for name, meant in misspelled(values, settings.config):
        console.say(f"Note: {name}: there is no such setting. Did you mean {meant}?")
    for found, mend in unknown_models(settings, values):
        console.say(f"Note: {found} {mend}")
    if not any(model.is_ready for model in settings.catalogue.models):
        console.say("Note: no model has credentials; set a provider's key, or try --demo.")
    console.say(f"{settings.config_path} and the settings are valid.")
    return 0


def _check_database(settings: Settings) -> None:
    with opened(settings) as engine:
        file = sqlite_file(settings.database_url)
        if file is not None and not file.exists():  # to look at it would make it
            check_place(file, settings.data_dir)
        elif schema_state(engine) is SchemaState.FOREIGN:
            raise DatabaseError(
                "The database holds the tables of another program, or of a newer version. Name another one."
            )
