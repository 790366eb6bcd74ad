# Copyright (c) monai_ssl contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""Names that say nothing about a patient to whoever lacks the key."""

from __future__ import annotations

import hashlib
import hmac
import os
import secrets
from pathlib import Path

from monai_ssl.files import atomic_path

__all__ = ["KEY_FILE", "Pseudonyms", "load_key", "read_key"]

KEY_FILE = ".pseudonym_key"
_DIGITS = 16


class Pseudonyms:
    """
    Keyed hashes (HMAC-SHA256, https://www.rfc-editor.org/rfc/rfc2104) of the names of a source.

    Without the key a pseudonym cannot be found again by hashing guessed names; with it a name always has the same one.

    Args:
        key: at least one byte.

    Example:
        >>> Pseudonyms(b"secret")("patient", "0042") == Pseudonyms(b"secret")("patient", "0042")
        True
    """

    def __init__(self, key: bytes) -> None:
        if not key:
            raise ValueError("pseudonym_key must not be empty; leave it out to have a random one made")
        self._key = key

    def __call__(self, kind: str, name: str) -> str:
        """
        The pseudonym of `name`: 16 hex digits.

        Args:
            kind: "volume" or "patient", so that equal names of two kinds have different pseudonyms.
            name: the identifier of the source; any text, lone surrogates (bytes that are no UTF-8) included.
        """
        message = f"{kind}\0{name}".encode(errors="surrogatepass")
        return hmac.new(self._key, message, hashlib.sha256).hexdigest()[:_DIGITS]

    @property
    def fingerprint(self) -> str:
        """Tells whether two stores share a key, without telling the key."""
        return self("fingerprint", "")


def load_key(folder: Path, key: str | bytes | os.PathLike | None) -> bytes:
    """
    The key of a store, written to `.pseudonym_key` with mode 0600.

    Args:
        folder: the store; a key that it already has is taken when none is given.
        key: the secret itself (text or bytes), a `Path` to the key file of another store, or None for a random one.

    Raises:
        ValueError: when the key is empty, a file that is no key, or not the one the store has.
    """
    file = folder / KEY_FILE
    present = _key_in(file) if file.exists() else None
    given = read_key(key)
    if present is not None and given is not None and present != given:
        raise ValueError(f"{file}: another key than the one given; choose another folder, or give no key")
    chosen = present or given or secrets.token_bytes(32)
    if present is None:
        with atomic_path(file, private=True) as partial:
            partial.write_text(chosen.hex() + "\n", encoding="ascii")
    return chosen


def read_key(key: str | bytes | os.PathLike | None) -> bytes | None:
    """
    The secret that was given, None where none was.

    Args:
        key: as in `load_key`.

    Raises:
        ValueError: when it is empty, or a file that is no key, naming it.
    """
    if isinstance(key, os.PathLike):
        return _key_in(Path(key))
    if key is not None and not key:
        raise ValueError("pseudonym_key must not be empty; leave it out to have a random one made")
    return key.encode(errors="surrogatepass") if isinstance(key, str) else key


def _key_in(file: Path) -> bytes:
    try:
        key = bytes.fromhex(file.read_text(encoding="ascii"))
    except OSError as error:
        raise ValueError(
            f"{file}: cannot be read ({error.strerror}); give the {KEY_FILE} of a store as pseudonym_key"
        ) from error
    except ValueError as error:
        raise ValueError(f"{file}: not a pseudonym key, which is one line of hex digits") from error
    if not key:
        raise ValueError(f"{file}: an empty pseudonym key; delete the file or give another key")
    return key
