"""The page's server, which removes all uploads when the server ends and contacts no other host."""

import ipaddress
import os
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from icegan_jax.data.landmarks import find_face
from icegan_jax.errors import UserError
from icegan_jax.inference.app.examples import draw_examples
from icegan_jax.inference.ensemble import Ensemble, has_generator, load_ensemble
from icegan_jax.signals import Stopped


def check_port_free(host: str, port: int) -> None:
    """Check that a server can listen at an address.

    Raises:
        UserError: The port is in use, or the address is not one of this computer.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
    except OSError as error:
        raise UserError(
            f"--host={host} --port={port}: nothing can listen there ({error.strerror}); give another --port or --host"
        ) from None


def is_local(host: str) -> bool:
    """Return whether only this computer can reach a server that listens at an address."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def serve(run_dir: Path, fold: str | None, exclude_subject: str | None, host: str, port: int) -> None:
    """Serve the page until a signal stops the program.

    Args:
        run_dir, fold, exclude_subject: see ``load_ensemble``.
        host, port: the address to listen at, see ``check_port_free``.

    Raises:
        UserError: see ``load_ensemble``.
    """
    recognizer = load_ensemble(run_dir, generator=False, fold=fold, exclude_subject=exclude_subject)
    generator = None
    if has_generator(run_dir):
        generator = load_ensemble(run_dir, generator=True, fold=fold, exclude_subject=exclude_subject)
    else:
        print("this run was trained without a generator: the page synthesizes no faces")
    print("compiling the programs", flush=True)
    start = time.perf_counter()
    _compile(recognizer, generator)
    print(f"ready after {time.perf_counter() - start:.1f} s")
    with TemporaryDirectory(prefix="icegan-page-") as folder:
        os.environ.update(_gradio_environment(Path(folder).resolve(), host))
        # gradio creates folders at import, at the paths in these variables: the import must follow the variables.
        from icegan_jax.inference.app import layout

        page = layout.build(recognizer, generator, draw_examples(Path(folder) / "examples"))
        try:
            address = f"[{host}]" if ":" in host else host  # IPv6 in an URL (RFC 3986, 3.2.2)
            layout.launch(page, address, port)
            print(f"page: http://{address}:{port} (Ctrl-C closes the page and removes the uploads)", flush=True)
            page.block_thread()
        except Stopped:
            print("the page is closed")
        finally:
            page.close(verbose=False)


def _gradio_environment(folder: Path, host: str) -> dict[str, str]:
    """Return the settings of gradio that only environment variables can change."""
    no_proxy = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    return {
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_ALLOWED_PATHS": "",
        "no_proxy": f"{no_proxy},{host}" if no_proxy else host,  # gradio sends a request to its own server
    }


def _compile(recognizer: Ensemble, generator: Ensemble | None) -> None:
    """Compile the programs and load the face detector, so that the first click is as fast as the others."""
    size, count = recognizer.image_size, len(recognizer.classes)
    find_face([np.zeros((size, size), np.uint8)], tries=1)
    blank = np.zeros((1, size, size), np.uint8)
    recognizer.predict(blank, blank)
    if generator is not None:
        labels, draws = np.arange(count, dtype=np.int32), np.zeros(count, np.int32)
        generator.motion_field(np.repeat(blank, count, axis=0), labels, draws)
