"""The callbacks of this process's App, for LiteLLM, which imports them by name while it reads its YAML."""

from pathlib import Path

from litellm.proxy import proxy_server

from scalix_callbacks.app import build
from scalix_callbacks.proxy import answer_cache, repairs, spans

# LiteLLM sets this before it loads callbacks; it is how `litellm --config …` alone tells us the file.
_named = proxy_server.user_config_file_path

repairs.install()
spans.install()
_app = build(Path(_named) if _named else None)
if _app.answer_cache is not None:
    answer_cache.install(_app.answer_cache)
callbacks = _app.callbacks
