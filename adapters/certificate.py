"""The certificate that is shown to a venue: loaded again when its files change, and when it ends."""

from __future__ import annotations

import ssl
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from vpp.errors import UnavailableError

_SEQUENCE, _VERSION, _UTC_TIME, _GENERALIZED_TIME = 0x30, 0xA0, 0x17, 0x18


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientCertificate:
    """Where certificate and key of this client are kept, as PEM."""

    cert: Path
    key: Path
    ca: Path | None = None
    """Whom we trust instead of the machine's authorities."""


class CertificateKeeper:
    """Gives the TLS context of a client certificate; a renewed file is used from the next request on."""

    def __init__(self, files: ClientCertificate) -> None:
        self._files = files
        self._loaded: tuple[int, ...] = ()
        self._context: ssl.SSLContext | None = None
        self.ends_at: datetime | None = None
        """Of the certificate that is in use; None before the first."""

    def context(self) -> ssl.SSLContext:
        """What a connection is made with.

        Raises:
            UnavailableError: A file is not there or no certificate, or the key does not fit.
        """
        files = self._files
        paths = [path for path in (files.cert, files.key, files.ca) if path is not None]
        try:
            stamps = tuple(path.stat().st_mtime_ns for path in paths)
            if self._context is None or stamps != self._loaded:
                context = ssl.create_default_context(cafile=files.ca)
                context.load_cert_chain(files.cert, files.key)
                self.ends_at = ends_at(files.cert.read_text(encoding="ascii", errors="replace"))
                self._context, self._loaded = context, stamps
        except (OSError, ValueError) as error:  # an SSLError is an OSError
            raise UnavailableError(
                f"cannot be used: {error}",
                where=f"certificate {files.cert}",
                fix="Put certificate and key there as PEM, readable for the service",
            ) from error
        return self._context


def ends_at(pem: str) -> datetime:
    """When the first certificate of a PEM text ends.

    Raises:
        ValueError: It is none.
    """
    end = "-----END CERTIFICATE-----"
    first = pem[pem.index("-----BEGIN CERTIFICATE-----") : pem.index(end) + len(end)]
    _, body, _ = _element(ssl.PEM_cert_to_DER_cert(first), 0)
    _, signed, _ = _element(body, 0)
    kind, _, at = _element(signed, 0)
    # [version] serial, algorithm, issuer, then the validity: from and until
    for _ in range(3 if kind == _VERSION else 2):
        kind, _, at = _element(signed, at)
    kind, validity, _ = _element(signed, at)
    if kind != _SEQUENCE:
        raise ValueError("no certificate")
    _, _, at = _element(validity, 0)
    kind, until, _ = _element(validity, at)
    forms = {_UTC_TIME: "%y%m%d%H%M%SZ", _GENERALIZED_TIME: "%Y%m%d%H%M%SZ"}
    if kind not in forms:
        raise ValueError("no certificate")
    return datetime.strptime(until.decode("ascii"), forms[kind]).replace(tzinfo=UTC)


def _element(der: bytes, at: int) -> tuple[int, bytes, int]:
    """Tag and content of the DER element at `at`, and where the next one begins. Raises ValueError."""
    try:
        tag, length, start = der[at], der[at + 1], at + 2
        if length & 0x80:
            size = length & 0x7F
            length, start = int.from_bytes(der[start : start + size]), start + size
    except IndexError as error:
        raise ValueError("no certificate") from error
    if start + length > len(der):
        raise ValueError("no certificate")
    return tag, der[start : start + length], start + length
