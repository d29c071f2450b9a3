"""Where the page listens.

The page's server: nothing that is put in outlives it, and nothing goes to another host.
"""

import ipaddress
import os
import socket
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from icegan_jax.data.landmarks import find_face
from icegan_jax.errors import UserError
from icegan_jax.inference.ensemble import Ensemble, has_generator, load_ensemble
from icegan_jax.signals import Stopped


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


def serve(run_dir: Path, fold: str | None, exclude: str | None, host: str, port: int) -> None:
    """Shows the page until it is stopped.

    Args:
      run_dir, fold, exclude: see ``load_model``.
      host, port: where to listen, see ``check_free``.

    Raises:
      UserError: see ``load_model``.
    """
    recognizer = load_ensemble(run_dir, generator=False, fold=fold, exclude=exclude)
    generator = load_ensemble(run_dir, generator=True, fold=fold, exclude=exclude) if has_generator(run_dir) else None
    if generator is None:
        print("this run was trained without a generator: the page makes no faces")
    print("warming up: programs are compiled before the first picture comes", flush=True)
    start = time.perf_counter()
    _warm_up(recognizer, generator)
    print(f"ready after {time.perf_counter() - start:.1f} s")
    with TemporaryDirectory(prefix="icegan-page-") as folder:
        os.environ.update(_environment(Path(folder).resolve(), host))
        from icegan_jax.inference.app import layout  # not before: gradio makes folders where the environment says

        page = layout.build(recognizer, generator)
        try:
            layout.launch(page, host, port)
            print(f"page: http://{host}:{port} (Ctrl-C ends it and removes what was put in)", flush=True)
            page.block_thread()
        except Stopped:
            print("the page is closed")
        finally:
            page.close(verbose=False)


def _environment(folder: Path, host: str) -> dict[str, str]:
    """What gradio reads from the environment alone."""
    known = os.environ.get("no_proxy", os.environ.get("NO_PROXY", ""))
    return {
        "GRADIO_TEMP_DIR": str(folder),
        "GRADIO_ANALYTICS_ENABLED": "False",
        "GRADIO_ALLOWED_PATHS": "",
        "no_proxy": f"{known},{host}" if known else host,  # gradio asks itself whether it answers
    }


def _warm_up(recognizer: Ensemble, generator: Ensemble | None) -> None:
    """Compiles what a click needs, and loads what finds faces."""
    size, count = recognizer.size, len(recognizer.classes)
    find_face([np.zeros((size, size), np.uint8)], tries=1)
    blank = np.zeros((1, size, size), np.uint8)
    recognizer.predict(blank, blank)
    if generator is not None:
        labels, draws = np.arange(count, dtype=np.int32), np.zeros(count, np.int32)
        generator.motion_field(np.repeat(blank, count, axis=0), labels, draws)
