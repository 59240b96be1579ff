"""All that knows LiteLLM."""
