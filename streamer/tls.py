"""TLS to a broker: whom to trust, and how to prove who this is."""

import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from engines.errors import CredenceError


class CertificateError(CredenceError):
    """A certificate or key that cannot be used."""

    def __init__(self, key: str, path: Path, problem: str) -> None:
        super().__init__(f"mqtt.{key}: {path}: {problem}")
        self.path = path


@dataclass(frozen=True, slots=True)
class Tls:
    """Encrypts, and checks the broker's certificate. The files are PEM."""

    ca_file: Path | None = None
    """The authorities to trust; None trusts the system's, or those of SSL_CERT_FILE."""
    client_cert: Path | None = None
    """What proves to the broker who this is, with those between it and the authority."""
    client_key: Path | None = None
    """Its key, without a passphrase; None looks into the certificate's file."""

    def context(self) -> "Context":
        """Return what makes connections. Reads files; raises CertificateError."""
        made = Context(ssl.PROTOCOL_TLS_CLIENT)
        if self.ca_file is None:
            made.load_default_certs()
        else:
            _readable("ca_file", self.ca_file)
            try:
                made.load_verify_locations(self.ca_file)
            except ssl.SSLError as error:
                problem = "holds no certificate in PEM; name that of your authority"
                raise CertificateError("ca_file", self.ca_file, problem) from error
        if self.client_cert is not None:
            _prove(made, self.client_cert, self.client_key)
        return made


class Context(ssl.SSLContext):
    """Makes connections of one client, and remembers why the peer ended one."""

    refusal: str | None = None
    """What the peer said last, such as `tlsv13 alert certificate required`."""

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """Connect as its parent does."""
        made = super().wrap_socket(*args, **kwargs)
        assert isinstance(made, _TidySocket)
        made.told = self
        return made


class _TidySocket(ssl.SSLSocket):
    """Closes when the handshake fails, and calls every failure of it a TLS problem."""

    told: Context | None = None

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError as error:
            self.close()  # paho would leave it to the garbage collector
            if isinstance(error, ConnectionError | TimeoutError):
                raise ssl.SSLError("it did not answer as TLS does") from error
            raise

    def recv(self, buflen: int = 1024, flags: int = 0) -> bytes:
        # With TLS 1.3 a client's certificate is refused after the handshake, and paho keeps quiet.
        try:
            return super().recv(buflen, flags)
        except ssl.SSLError as error:
            if self.told and isinstance(error.reason, str) and "ALERT" in error.reason:
                self.told.refusal = error.reason.lower().replace("_", " ")
            raise


Context.sslsocket_class = _TidySocket


def _prove(context: Context, certificate: Path, key: Path | None) -> None:
    _readable("client_cert", certificate)
    if key:
        _readable("client_key", key)
    name, at = ("client_key", key) if key else ("client_cert", certificate)

    def ask() -> str:  # OpenSSL would ask at the terminal
        problem = "the key has a passphrase; write one without: openssl pkey -in KEY -out NEW"
        raise CertificateError(name, at, problem)

    try:
        context.load_cert_chain(certificate, key, password=ask)
    except ssl.SSLError as error:
        if error.reason in ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH"):
            problem = f"this key belongs to another certificate than {certificate}"
        elif b"BEGIN CERTIFICATE" not in certificate.read_bytes():
            name, at, problem = "client_cert", certificate, "holds no certificate in PEM"
        else:
            problem = "holds no key in PEM" + ("" if key else "; name its file as mqtt.client_key")
        raise CertificateError(name, at, problem) from error


def _readable(key: str, path: Path) -> None:
    try:
        path.open("rb").close()
    except OSError as error:
        problem = (error.strerror or "cannot be read").lower()
        raise CertificateError(key, path, problem) from error
