"""Certificates that a test makes for itself with openssl."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Papers:
    """Certificates made for one test: an authority, a server's, a client's for two days."""

    folder: Path
    openssl: Path

    def make(self, name: str, days: int) -> None:
        """A key and a certificate for `name`, signed by the authority."""
        key, request = self.folder / f"{name}.key", self.folder / f"{name}.csr"
        self._run("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", key, "-out", request, "-subj", f"/CN={name}")  # fmt: skip
        names = self.folder / "names"
        names.write_text("subjectAltName=IP:127.0.0.1\n", encoding="ascii")
        self._run("x509", "-req", "-in", request, "-CA", self.folder / "ca.pem", "-CAkey",
                  self.folder / "ca.key", "-days", str(days), "-out", self.folder / f"{name}.pem",
                  "-extfile", names)  # fmt: skip

    def authority(self) -> None:
        self._run("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                  "-keyout", self.folder / "ca.key", "-out", self.folder / "ca.pem",
                  "-subj", "/CN=authority", "-days", "30")  # fmt: skip

    def _run(self, *words: str | Path) -> None:
        subprocess.run([self.openssl, *words], check=True, capture_output=True)
