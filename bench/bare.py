"""LiteLLM under everything that our launcher gives it, but without the pack; `python -m bench.bare PORT`.

BENCH_LOOP, BENCH_HTTP and BENCH_GENERAL change one thing, for `bench.levers`.
"""

import os
import sys
from typing import Any

import uvicorn
from litellm.proxy import proxy_server

from scalix_callbacks.cli.startup import KEEP_ALIVE_S
from scalix_callbacks.proxy.litellm_config import PackConfig
from scalix_callbacks.settings.model_list import CALLBACK


class _BareConfig(PackConfig):
    """The settings as with the pack, without the pack itself."""

    async def _get_config_from_file(self, config_file_path: str | None = None) -> dict[str, Any]:
        config = await super()._get_config_from_file(config_file_path)
        config["litellm_settings"]["callbacks"].remove(CALLBACK)
        del config["general_settings"]["custom_auth"]
        if os.environ.get("BENCH_GENERAL") == "cancel_on_disconnect=0":
            config["general_settings"]["cancel_on_disconnect"] = False
        return config


if __name__ == "__main__":
    proxy_server.proxy_config = _BareConfig(unready=(), demo_url=None)
    uvicorn.run(
        proxy_server.app,
        port=int(sys.argv[1]),
        loop=os.environ.get("BENCH_LOOP", "uvloop"),
        http=os.environ.get("BENCH_HTTP", "httptools"),
        lifespan="on",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_keep_alive=KEEP_ALIVE_S,
    )
