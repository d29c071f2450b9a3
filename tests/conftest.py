"""Settings for all tests, before jax is imported: four simulated devices, no rank promotion, fast compilation.

Fixtures of several folders are here, too: the tiny trained run and the picture of a face.
"""

import gc
import os
import signal
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import filelock
import pytest

# A background job of a shell ignores Ctrl-C, as do its subprocesses; some tests send it.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

_JAXLIB = metadata.version("jaxlib")
# The next session finds the compiled programs of this one.
_CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "icegan-jax-tests"
_CACHE_BYTES = 2 << 30

# The networks of the tests are tiny: optimizing their programs takes at least three times longer than it saves.
_FLAGS = [
    "--xla_force_host_platform_device_count=4",
    "--xla_backend_optimization_level=0",
    "--xla_llvm_disable_expensive_passes=true",
]
if _JAXLIB.startswith("0.10."):  # XLA ends the process at an unknown flag
    _FLAGS.append("--xla_cpu_use_fusion_emitters=false")
_SETTINGS = {
    "XLA_FLAGS": " ".join(_FLAGS),
    "JAX_PLATFORMS": "cpu",
    # A program that several tests compile, also in subprocesses, is compiled once.
    "JAX_COMPILATION_CACHE_DIR": str(_CACHE / _JAXLIB),
    "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
    "JAX_PERSISTENT_CACHE_MIN_ENTRY_SIZE_BYTES": "-1",
}
os.environ.update(_SETTINGS)

import jax  # noqa: E402

jax.config.update("jax_numpy_rank_promotion", "raise")


def pytest_sessionstart(session: pytest.Session) -> None:
    """Remove the oldest programs beyond _CACHE_BYTES, once for all workers of pytest-xdist."""
    if hasattr(session.config, "workerinput"):
        return
    used = 0
    for path in sorted(filter(Path.is_file, _CACHE.rglob("*")), key=lambda path: -path.stat().st_mtime):
        used += path.stat().st_size
        if used > _CACHE_BYTES:
            path.unlink(missing_ok=True)


@pytest.fixture(scope="module", autouse=True)
def drop_programs() -> Iterator[None]:
    """Free the compiled programs of a module: those of all modules together take several gigabytes."""
    yield
    jax.clear_caches()
    gc.collect()


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of 3 folds: 32x32 pixels, generator with motion, config.json, checkpoints, report.

    All tests and all workers of pytest-xdist share the run and must not change it. The folds are ``tiny_run.FOLDS``,
    the classes EXPRESSIONS.
    """
    from tests.training import tiny_run

    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with filelock.FileLock(folder / "tiny_run.lock"):
        return tiny_run.trained(folder / "tiny_run")


@pytest.fixture(scope="session")
def face_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a color PNG of 240x260 pixels: a face of about 100 pixels, of scikit-image's astronaut."""
    import skimage.data
    from PIL import Image

    path = tmp_path_factory.mktemp("picture") / "neutral.png"
    Image.fromarray(skimage.data.astronaut()[0:260, 110:350]).save(path)
    return path
