"""A finished run of tiny networks, trained once by the main job, and a picture of a face to show it."""

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
    """Made-up pairs of three people at ``data``, and a run of three folds at ``run`` beside them."""
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
        start(config_of(data), run_dir)  # the config of tests/damage: a session compiles its programs once
    return run_dir


@pytest.fixture(scope="session")
def run_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run of 3 folds (32x32 pixels, generator that moves pixels, config.json, checkpoints, report).

    Read it only: all tests share it. A test module outside this folder imports the name. The folds are FOLDS, the
    classes EXPRESSIONS.
    """
    return trained(tmp_path_factory.getbasetemp() / "use")


@pytest.fixture(scope="session")
def model(run_dir: Path) -> Ensemble:
    """All three folds of the run, to synthesize with."""
    return load_ensemble(run_dir, generator=True)


@pytest.fixture(scope="session")
def face_picture(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PNG of 240x260 pixels in colour: a face of about 100 pixels, of scikit-image's astronaut."""
    path = tmp_path_factory.mktemp("picture") / "neutral.png"
    Image.fromarray(skimage.data.astronaut()[0:260, 110:350]).save(path)
    return path
