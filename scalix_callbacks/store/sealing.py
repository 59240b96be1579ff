"""What lies in Redis for a while and holds people's words is sealed: AES-256-GCM, one key per scope.

The keys are derived (HKDF-SHA256) from the operator's key, which Redis never sees. Under another operator's
key, in another scope or in another place nothing can be opened: it is as if it were not there.
"""

import os
from functools import lru_cache

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

_VERSION = b"\x01"
_NONCE_BYTES = 12
_INFO = b"scalix sealed answers 1\x00"
MAX_REMEMBERED = 1_000


class Sealer:
    """Seals and opens.

    Args:
        secret: the operator's key.
    """

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode("utf-8", "surrogatepass")
        self._cipher = lru_cache(maxsize=MAX_REMEMBERED)(self._derived)

    def seal(self, scope: str, place: str, data: bytes) -> bytes:
        """`data`, to be opened in this scope and at this place alone."""
        nonce = os.urandom(_NONCE_BYTES)
        return _VERSION + nonce + self._cipher(scope).encrypt(nonce, data, place.encode())

    def open(self, scope: str, place: str, sealed: bytes) -> bytes | None:
        """What was sealed; None where it was not sealed so, or was changed."""
        nonce, text = sealed[1 : 1 + _NONCE_BYTES], sealed[1 + _NONCE_BYTES :]
        if sealed[:1] != _VERSION or len(nonce) != _NONCE_BYTES:
            return None
        try:
            return self._cipher(scope).decrypt(nonce, text, place.encode())
        except InvalidTag:
            return None

    def _derived(self, scope: str) -> AESGCM:
        info = _INFO + scope.encode("utf-8", "surrogatepass")
        return AESGCM(HKDF(SHA256(), length=32, salt=None, info=info).derive(self._secret))
