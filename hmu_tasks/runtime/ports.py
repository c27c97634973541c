"""Ports that a server is to listen on."""

import socket

from hmu_tasks.runtime.errors import HmuError


def require_free(host: str, port: int) -> None:
    """Raise HmuError with the system's reason where a server could not listen on a port of an address."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise HmuError(
                f"port {port} of {host} cannot be used ({error.strerror}); choose another one"
            ) from error
