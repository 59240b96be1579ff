"""What LiteLLM imports late is imported, and still there to be."""

import sys

from scalix_callbacks.proxy.warm_up import warm_up


async def test_it_asks_the_app_and_imports_what_is_imported_late():
    """Should LiteLLM drop a module or a function, this says so, and not the first start after an upgrade."""
    asked = []

    async def app(scope, receive, send):
        asked.append(scope["path"])
        await receive()
        await send({"type": "http.response.start", "status": 404, "headers": []})

    await warm_up(app)

    assert ["/scalix/warm-up"] == asked
    assert "litellm.integrations.shadow_eval_logger" in sys.modules
