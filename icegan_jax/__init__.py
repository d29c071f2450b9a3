"""ICE-GAN (Yu et al., IJCNN 2021) in JAX: micro-expression synthesis and recognition.

The names in ``__all__`` are the Python interface, see docs/python.md. Each is imported when it is first used, so that
``import icegan_jax`` imports neither JAX nor OpenCV.
"""

import importlib
from typing import TYPE_CHECKING, Any

__version__ = "0.5.0"

# Name: the module that defines it. ``prepare`` is the module itself, which can be called, see icegan_jax/prepare.py.
_MODULES = {
    "PreparedDataset": "icegan_jax.prepare",
    "Recognition": "icegan_jax.inference.recognize",
    "RecordingResult": "icegan_jax.inference.recognize",
    "Recognizer": "icegan_jax.inference.recognizer",
    "Run": "icegan_jax.api",
    "Synthesis": "icegan_jax.inference.synthesizer",
    "Synthesizer": "icegan_jax.inference.synthesizer",
    "UserError": "icegan_jax.errors",
    "get_config": "icegan_jax.api",
    "load_run": "icegan_jax.api",
    "prepare": "icegan_jax.prepare",
    "train_and_evaluate": "icegan_jax.api",
}

__all__ = [
    "PreparedDataset",
    "Recognition",
    "RecordingResult",
    "Recognizer",
    "Run",
    "Synthesis",
    "Synthesizer",
    "UserError",
    "__version__",
    "get_config",
    "load_run",
    "prepare",
    "train_and_evaluate",
]

if TYPE_CHECKING:
    from icegan_jax.api import Run, get_config, load_run, train_and_evaluate
    from icegan_jax.errors import UserError
    from icegan_jax.inference.recognize import Recognition, RecordingResult
    from icegan_jax.inference.recognizer import Recognizer
    from icegan_jax.inference.synthesizer import Synthesis, Synthesizer
    from icegan_jax.prepare import PreparedDataset, prepare


def __getattr__(name: str) -> Any:
    """Import a name of the Python interface when it is first used (PEP 562)."""
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module = importlib.import_module(_MODULES[name])
    value = module if name == "prepare" else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the names of the Python interface beside those that are imported already."""
    return sorted({*globals(), *__all__})
