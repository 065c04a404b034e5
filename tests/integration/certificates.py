"""An authority, a server's and a client's certificate, made for one test."""

from __future__ import annotations

import ipaddress
import ssl
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


@dataclass(frozen=True)
class Certificates:
    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    def context(self, *, clients: bool = False) -> ssl.SSLContext:
        """For a server, with or without asking clients for a certificate."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(self.authority))
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        context.verify_mode = ssl.CERT_REQUIRED if clients else ssl.CERT_NONE
        return context

    def query(self, *, client: bool = False) -> str:
        """For REDIS_URL."""
        query = f"ssl_ca_certs={self.authority}"
        if client:
            query += f"&ssl_certfile={self.folder / 'client.crt'}&ssl_keyfile={self.folder / 'client.key'}"
        return query


def make(folder: Path) -> Certificates:
    folder.mkdir()
    authority_key, authority_name = ec.generate_private_key(ec.SECP256R1()), _name("tests")
    _write(folder, "ca", authority_key, _build(authority_name, authority_key, authority_name, authority_key))
    for who in ("server", "client"):
        key = ec.generate_private_key(ec.SECP256R1())
        _write(folder, who, key, _build(_name(who), key, authority_name, authority_key))
    return Certificates(folder)


def _name(text: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _build(
    subject: x509.Name,
    key: ec.EllipticCurvePrivateKey,
    issuer: x509.Name,
    issuer_key: ec.EllipticCurvePrivateKey,
) -> x509.Certificate:
    now = datetime.now(UTC)
    names = [x509.DNSName("localhost"), x509.IPAddress(ipaddress.IPv4Address("127.0.0.1"))]
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=subject == issuer, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )


def _write(folder: Path, name: str, key: ec.EllipticCurvePrivateKey, made: x509.Certificate) -> None:
    pem = serialization.Encoding.PEM
    (folder / f"{name}.key").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    (folder / f"{name}.crt").write_bytes(made.public_bytes(pem))
