"""All that knows ASGI."""
