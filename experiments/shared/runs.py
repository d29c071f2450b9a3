"""Training of the runs of an experiment; finished runs are reused."""

import ast
import gc
import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path

import jax
from absl import logging
from ml_collections import ConfigDict

from experiments.shared.options import PRESETS, Options
from icegan_jax import train as train_module
from icegan_jax.api import get_config
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.config import check_field
from icegan_jax.data.dataset import SUMMARY_FILE
from icegan_jax.errors import UserError
from icegan_jax.io import read_json

_IRRELEVANT_FIELDS = ("on_nonfinite", "collapse_after")  # of training: fields without effect on results and folders
_MAX_NAME = 90  # letters of a run's folder, without hash and seed


def train_seeds(options: Options, fields: Mapping[str, object], data: str) -> list[Path]:
    """Return the finished run directories of all seeds, see ``train_run``."""
    return [train_run(options, seed, fields, data) for seed in range(options.seeds)]


def train_run(options: Options, seed: int, fields: Mapping[str, object], data: str) -> Path:
    """Return a finished run directory of the preset's configuration with these fields and the user's fields.

    Equal configurations share one directory, in all experiments.

    Args:
      options: the options of the experiment.
      seed: seed of the run.
      fields: dotted names and values, such as ``{"generator.kind": "skips"}``. With ``{"method": "ststnet"}`` the
        configuration is ``baselines:ststnet``, whatever the preset.
      data: a prepared folder; empty for the folder of the configuration.

    Raises:
      UserError: a field or the data are invalid, the finished run was trained on other faces, or training fails.
    """
    config = build_config(options, seed, fields, data)
    content = json.loads(config.to_json())
    for name in _IRRELEVANT_FIELDS:
        del content["training"][name]
    digest = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:8]
    words = "_".join(f"{name.rpartition('.')[2]}-{_brief(value)}" for name, value in fields.items())
    words = re.sub(r"[^A-Za-z0-9_.-]+", "", words)[:_MAX_NAME] or "base"
    folder, end = options.out / "runs", f"{digest}_seed{seed}"
    run = next(iter(sorted(folder.glob(f"*_{end}"))), folder / f"{words}_{end}")
    if (run / "results.json").is_file():
        _check_faces(run, Path(config.data.dir))
        return run
    print(f"training {run}", flush=True)
    logging.set_verbosity(logging.WARNING)  # without the messages of TFDS and JAX
    enable_compilation_cache(None)
    train_module.train_and_evaluate(config, run, force_resume=options.force_resume)
    jax.clear_caches()  # frees the compiled programs, which no other run uses
    gc.collect()
    return run


def _check_faces(run: Path, data: Path) -> None:
    """Check that a finished run was trained on the faces that are now in the prepared folder."""
    if not (data / SUMMARY_FILE).is_file():
        return
    current = str(read_json(data / SUMMARY_FILE).get("fingerprint"))
    trained = str(read_json(run / "results.json").get("data_fingerprint"))
    if not trained.startswith(current):  # the name of a single database is appended
        raise UserError(f"{run}: trained on other faces than {data} holds now; give another --out, or remove the run")


def build_config(options: Options, seed: int, fields: Mapping[str, object], data: str) -> ConfigDict:
    """Return the configuration of a run, see ``train_run``.

    Raises:
      UserError: there is no such field, a value has another type, or the experiment sets the field itself.
    """
    fixed = {*fields, "method", "seed", "data.dir"} & dict(options.fields).keys()
    if fixed:
        raise UserError(f"--config.{min(fixed)}: the experiment sets this field itself; see --data, --seeds and --help")
    changes = {**fields, **{name: _parsed(text) for name, text in options.fields}}
    method = changes.pop("method", None)
    config = get_config(PRESETS[options.preset].config if method is None else f"baselines:{method}")
    config.seed = seed
    if data:
        config.data.dir = data
    for name, value in changes.items():
        check_field(name)
        try:
            config.update_from_flattened_dict({name: value})
        except (TypeError, ValueError) as error:
            raise UserError(f"--config.{name}={value}: {error}; configs/loso.py has every field") from None
    if config.protocol == "all":
        raise UserError(
            "--config.protocol=all: trains on all subjects, so that a table has no score; leave this field out"
        )
    return config


def _brief(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _parsed(text: str) -> object:
    """Parse a number, truth value or tuple in Python's notation; return other text unchanged."""
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text, text)
