"""The names LiteLLM loads from the YAML; only imports, for LiteLLM may run this file outside sys.modules."""

from scalix_callbacks.bootstrap import callbacks
from scalix_callbacks.proxy.auth import authenticate

__all__ = ["authenticate", "callbacks"]
