"""A service account's key file for the simulated Google, made when a process first asks for one and kept nowhere.

Every process makes the same key, so that one may ask a simulator that runs in another: it opens nothing else.
"""

from __future__ import annotations

import base64
import hashlib
import json
from dataclasses import dataclass
from functools import cache
from random import Random

PROJECT = "sim-billing"
DOMAIN = f"{PROJECT}.iam.gserviceaccount.com"
KEY_ID = "sim0key1"
_BITS = 2048
_E = 65_537
_SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
_RSA_ALGORITHM = bytes.fromhex("300d06092a864886f70d0101010500")
_SMALL_PRIMES = tuple(n for n in range(3, 2000, 2) if all(n % d for d in range(3, int(n**0.5) + 1, 2)))
_SEED = "google key 3"


@dataclass(frozen=True, slots=True)
class KeyPair:
    """An RSA key pair; only its modulus and exponents matter here."""

    p: int
    q: int

    @property
    def n(self) -> int:
        """Return the modulus."""
        return self.p * self.q

    @property
    def d(self) -> int:
        """Return the private exponent."""
        return pow(_E, -1, (self.p - 1) * (self.q - 1))

    def pem(self) -> str:
        """Return the private key as the vendor's key files hold it: PKCS #8, PEM."""
        p, q, d = self.p, self.q, self.d
        numbers = (0, self.n, _E, d, p, q, d % (p - 1), d % (q - 1), pow(q, -1, p))
        key = _der(0x30, b"".join(_integer(number) for number in numbers))
        text = base64.b64encode(_der(0x30, _integer(0) + _RSA_ALGORITHM + _der(0x04, key))).decode()
        lines = "\n".join(text[at : at + 64] for at in range(0, len(text), 64))
        kind = "PRIVATE " + "KEY"
        return f"-----BEGIN {kind}-----\n{lines}\n-----END {kind}-----\n"

    def sign(self, message: bytes) -> bytes:
        """Return the RS256 signature of a message."""
        size = _BITS // 8
        return pow(int.from_bytes(_padded(message, size), "big"), self.d, self.n).to_bytes(size, "big")

    def signed(self, message: bytes, signature: bytes) -> bool:
        """Return whether a signature is RS256 and made with this key."""
        size = _BITS // 8
        opened = pow(int.from_bytes(signature, "big"), _E, self.n).to_bytes(size, "big")
        return len(signature) == size and opened == _padded(message, size)


@cache
def key_pair() -> KeyPair:
    """Return the key pair, the same in every process."""
    chance = Random(_SEED)  # of this call alone, or two threads at once would make two keys
    p = _prime(chance)
    q = _prime(chance)
    return KeyPair(max(p, q), min(p, q))


def service_account_key(base_url: str, kind: str = "reader", label: str = "") -> str:
    """Return the JSON text of a fake service account's key file.

    Units: `base_url` is what a connection sets as its base_url (".../google"); the file names the token path below it.
           `kind` is one of faces.google_token.PRINCIPALS and says what the account may do; `label` which world it sees.
    """
    name = f"sim-{kind}--{label}" if label else f"sim-{kind}"
    return json.dumps(
        {
            "type": "service_account",
            "project_id": PROJECT,
            "private_key_id": KEY_ID,
            "private_key": key_pair().pem(),
            "client_email": f"{name}@{DOMAIN}",
            "client_id": "100000000000000000001",
            "auth_uri": f"{base_url}/auth",
            "token_uri": f"{base_url}/token",
            "universe_domain": "googleapis.com",
        },
        indent=2,
    )


def _padded(message: bytes, size: int) -> bytes:
    tail = _SHA256_PREFIX + hashlib.sha256(message).digest()
    return b"\0\1" + b"\xff" * (size - len(tail) - 3) + b"\0" + tail


def _prime(chance: Random) -> int:
    half = _BITS // 2
    while True:
        # The two top bits are set, so that two such primes make a modulus of full length.
        candidate = chance.getrandbits(half) | 3 << half - 2 | 1
        if candidate % _E != 1 and all(candidate % n for n in _SMALL_PRIMES) and _probably_prime(candidate, chance):
            return candidate


def _probably_prime(n: int, chance: Random) -> bool:
    """Return whether a number passes Miller and Rabin's test for random bases."""
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    for _ in range(12):
        x = pow(chance.randrange(2, n - 1), odd, n)
        if x in (1, n - 1):
            continue
        for _ in range(twos - 1):
            x = x * x % n
            if x == n - 1:
                break
        else:
            return False
    return True


def _der(tag: int, content: bytes) -> bytes:
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def _integer(number: int) -> bytes:
    # One byte more than the bits need keeps the sign bit clear.
    return _der(0x02, number.to_bytes(number.bit_length() // 8 + 1, "big"))
