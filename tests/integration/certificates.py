"""An authority, a server's and a client's certificate, made for one test by the openssl program."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

from redis_process import free_port, server_binary


@dataclass(frozen=True)
class Certificates:
    folder: Path

    @property
    def authority(self) -> Path:
        return self.folder / "ca.crt"

    def options(self, port: int, *, clients: bool = False) -> list[str]:
        """For a server that also speaks TLS, with or without asking clients for a certificate."""
        certificate, key = self.folder / "server.crt", self.folder / "server.key"
        return [
            "--tls-port", str(port), "--tls-ca-cert-file", str(self.authority),
            "--tls-cert-file", str(certificate), "--tls-key-file", str(key),
            "--tls-auth-clients", "yes" if clients else "no",
        ]  # fmt: skip

    def query(self, *, client: bool = False) -> str:
        """For REDIS_URL."""
        query = f"ssl_ca_certs={self.authority}"
        if client:
            query += f"&ssl_certfile={self.folder / 'client.crt'}&ssl_keyfile={self.folder / 'client.key'}"
        return query


def make(folder: Path) -> Certificates:
    """Skips the test where nothing can make certificates or no server speaks TLS."""
    if shutil.which("openssl") is None:
        pytest.skip("the openssl program is not installed")
    probe = [server_binary(), "--port", "0", "--tls-port", str(free_port())]
    try:
        said = subprocess.run(probe, check=False, capture_output=True, text=True, timeout=2).stdout
    except subprocess.TimeoutExpired:
        said = ""
    if "tls-cert-file" not in said:
        pytest.skip("the server on PATH does not speak TLS")
    folder.mkdir()
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2")
    _openssl(folder, "req", "-x509", *key, "-keyout", "ca.key", "-out", "ca.crt", "-subj", "/CN=tests")
    for name in ("server", "client"):
        (folder / f"{name}.ext").write_text("subjectAltName=DNS:localhost,IP:127.0.0.1\n")
        _openssl(folder, "req", *key, "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        _openssl(
            folder, "x509", "-req", "-in", f"{name}.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "2",
            "-CAcreateserial", "-out", f"{name}.crt", "-extfile", f"{name}.ext",
        )  # fmt: skip
    return Certificates(folder)


def _openssl(folder: Path, *arguments: str) -> None:
    subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True)
