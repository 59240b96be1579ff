"""The keys that the bench asks with, where the proxy does not make them."""

MASTER_KEY = "sk-bench-master-f00d0123456789abcdef"
LIMITED_KEY = "sk-bench-0123456789abcdef-limited"
REFUSED_KEY = "sk-bench-0123456789abcdef-refused"
UNKNOWN_KEY = "scalix_" + "0" * 43
