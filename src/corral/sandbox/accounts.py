"""The sandbox's private keys, made anew from fixed and public material: they open nothing but a sandbox."""

from __future__ import annotations

import hashlib
from functools import lru_cache

from cryptography.hazmat.primitives.asymmetric import ec, rsa

from corral.providers.service_account import ServiceAccount

PROJECT = "corral-sandbox"
CLIENT_EMAIL = "corral@corral-sandbox.example.com"
KEY_ID = "corral-sandbox-key"

#: The two primes of the service account's key: making some takes a good part of a second.
_PRIMES = (
    int(
        "e7fd7562a976ccb0bcd144abec9d502d2f4f3d2322c0f8b0d43c87b6a411e1de4325e8804e7fb3bc5c2622"
        "89683fb1079ed78b80471c93b1f5ec76ae996a048e3193712484fafb05b1351d3d2887aa9d15f90e370408"
        "2646c02826fe5450765b220169a928093473e6e928e3a1fd8847fe14d0d8f0935e640a84d3d77429eba5",
        16,
    ),
    int(
        "bcc496fa5d75a1aaf7bd29db5cf1b8337d3053ba6d65f32a2f2199a940b5021e908cd00736870637c17b95"
        "8ee0ca87d15d66e14d48ffde5b17e00500ec1eb53e968faf50714b8921c6c3e545714cac4455b38993b8d9"
        "224028bb055383c793b3a6bbaf6e018b9683130fb6826414e9890c8226ad0dcfde975026dad8e0b44b3f",
        16,
    ),
)
_EXPONENT = 65_537


@lru_cache(maxsize=1)
def rsa_key() -> rsa.RSAPrivateKey:
    """The service account's key."""
    p, q = _PRIMES
    private = pow(_EXPONENT, -1, (p - 1) * (q - 1))
    numbers = rsa.RSAPrivateNumbers(
        p=p,
        q=q,
        d=private,
        dmp1=rsa.rsa_crt_dmp1(private, p),
        dmq1=rsa.rsa_crt_dmq1(private, q),
        iqmp=rsa.rsa_crt_iqmp(p, q),
        public_numbers=rsa.RSAPublicNumbers(_EXPONENT, p * q),
    )
    return numbers.private_key()


def service_account(token_uri: str) -> ServiceAccount:
    """Google's account of the sandbox."""
    return ServiceAccount(CLIENT_EMAIL, rsa_key(), KEY_ID, token_uri, PROJECT)


@lru_cache(maxsize=8)
def signing_key(phrase: str) -> ec.EllipticCurvePrivateKey:
    """The key on P-256 that this phrase makes."""
    number = int.from_bytes(hashlib.sha256(phrase.encode()).digest(), "big")
    return ec.derive_private_key(number, ec.SECP256R1())
