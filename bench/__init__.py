"""What the gateway costs beside a plain LiteLLM proxy, measured side by side; see docs/performance.md."""
