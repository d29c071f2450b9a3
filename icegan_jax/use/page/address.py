"""Where the page listens."""

import ipaddress
import socket

from icegan_jax.errors import UserError


def check_free(host: str, port: int) -> None:
    """Sees that something can listen there.

    Raises:
      UserError: nothing can.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as door:
            door.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            door.bind(address)
    except OSError as error:
        raise UserError(
            f"--host={host} --port={port}: nothing can listen there ({error.strerror}); give another --port or --host"
        ) from None


def is_local(host: str) -> bool:
    """Whether nobody but this computer reaches what listens there."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
