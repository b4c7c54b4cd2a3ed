"""TLS to a broker."""

import ssl


class _TidySocket(ssl.SSLSocket):
    """Closes when the handshake fails, and calls every failure of it a TLS problem."""

    def do_handshake(self, block: bool = False) -> None:
        try:
            super().do_handshake(block)
        except OSError as error:
            self.close()  # paho would leave it to the garbage collector
            if isinstance(error, ConnectionError | TimeoutError):
                raise ssl.SSLError("it did not answer as TLS does") from error
            raise


def tls_context() -> ssl.SSLContext:
    """Trust the system's authorities, or those of SSL_CERT_FILE. Reads files."""
    context = ssl.create_default_context()
    context.sslsocket_class = _TidySocket
    return context
