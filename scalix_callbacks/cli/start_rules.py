"""What settings must not be combined, for a start on this machine."""

from scalix_callbacks.cli.listener import is_loopback
from scalix_callbacks.cli.start_error import StartError
from scalix_callbacks.settings import Settings
from scalix_callbacks.settings.environment import DEMO_MASTER_KEY


def check_demo_address(settings: Settings) -> None:
    """The published key must not be reachable from other machines.

    Raises:
        StartError: it would be.
    """
    environment = settings.environment
    if environment.master_key == DEMO_MASTER_KEY and not is_loopback(environment.host):
        raise StartError(
            f"--demo: on {environment.host} other machines could use the published key. Set a"
            " LITELLM_MASTER_KEY of your own, or listen on 127.0.0.1."
        )
