"""The page's server: nothing that is put in outlives it, and nothing goes to another host."""

import os
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from icegan_jax.data.faces import find_face
from icegan_jax.stopping import Stopped
from icegan_jax.use.model import Model, has_generator, load_model


def serve(run_dir: Path, fold: str | None, exclude: str | None, host: str, port: int) -> None:
    """Shows the page until it is stopped.

    Args:
      run_dir, fold, exclude: see ``load_model``.
      host, port: where to listen, see ``check_free``.

    Raises:
      UserError: see ``load_model``.
    """
    recogniser = load_model(run_dir, generator=False, fold=fold, exclude=exclude)
    generator = load_model(run_dir, generator=True, fold=fold, exclude=exclude) if has_generator(run_dir) else None
    if generator is None:
        print("this run was trained without a generator: the page makes no faces")
    print("warming up: programs are compiled before the first picture comes", flush=True)
    start = time.perf_counter()
    _warm_up(recogniser, generator)
    print(f"ready after {time.perf_counter() - start:.1f} s")
    with TemporaryDirectory(prefix="icegan-page-") as folder:
        os.environ.update(_environment(Path(folder).resolve(), host))
        from icegan_jax.use.page import layout  # not before: gradio makes folders where the environment says

        page = layout.build(recogniser, generator)
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


def _warm_up(recogniser: Model, generator: Model | None) -> None:
    """Compiles what a click needs, and loads what finds faces."""
    size, count = recogniser.size, len(recogniser.classes)
    find_face([np.zeros((size, size), np.uint8)], tries=1)
    blank = np.zeros((1, size, size), np.uint8)
    recogniser.recognise(blank, blank)
    if generator is not None:
        labels, draws = np.arange(count, dtype=np.int32), np.zeros(count, np.int32)
        generator.change(np.repeat(blank, count, axis=0), labels, draws)
