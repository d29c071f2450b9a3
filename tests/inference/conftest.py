"""A finished run of tiny networks, trained once for all tests, and a picture of a face."""

import functools
import json
from pathlib import Path

import jax
import pytest
import skimage.data
from PIL import Image

from icegan_jax.data.dataset import Record, write_pairs
from icegan_jax.inference.ensemble import Ensemble, load_ensemble
from tests.damage.runs import FOLDS as FOLDS
from tests.damage.runs import STEPS as STEPS
from tests.damage.runs import config_of, start
from tests.training import tiny


@functools.cache
def trained(folder: Path) -> Path:
    """Write synthetic pairs of three subjects to ``data``, train three folds on them in ``run``, and return ``run``."""
    pairs = tiny.pairs()
    faces = zip(pairs.subject, pairs.clip, pairs.label, pairs.shift, pairs.onset, pairs.apex, strict=True)
    records = [
        Record("tiny", str(who), str(clip), int(label), int(shift), a, b) for who, clip, label, shift, a, b in faces
    ]
    data, run_dir = folder / "data", folder / "run"
    fingerprint = write_pairs(data, records, pairs.classes)
    (data / "prepared.json").write_text(json.dumps({"fingerprint": fingerprint}))
    devices = jax.local_devices()[:1]
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(jax, "local_devices", lambda: devices)
        start(config_of(data), run_dir)  # the config of tests/damage, whose programs a session compiles once
    return run_dir


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a finished run of 3 folds: 32x32 pixels, generator with motion, config.json, checkpoints, report.

    All tests share the run and must not change it. A test module outside this folder imports the fixture. The folds
    are FOLDS, the classes EXPRESSIONS.
    """
    return trained(tmp_path_factory.getbasetemp() / "inference")


@pytest.fixture(scope="session")
def ensemble(run_dir: Path) -> Ensemble:
    """Return the generators of all three folds."""
    return load_ensemble(run_dir, generator=True)


@pytest.fixture(scope="session")
def face_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a color PNG of 240x260 pixels: a face of about 100 pixels, of scikit-image's astronaut."""
    path = tmp_path_factory.mktemp("picture") / "neutral.png"
    Image.fromarray(skimage.data.astronaut()[0:260, 110:350]).save(path)
    return path
