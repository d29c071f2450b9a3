"""Reading of a run's synthesis.npz files, and the messages about damaged files."""

from pathlib import Path

import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.evaluation.synthesis.faces import read_faces


def fold(seed: int, clips: int = 2, size: int = 4) -> dict[str, np.ndarray]:
    random = np.random.default_rng(seed)
    return {
        "onset": random.integers(0, 256, (clips, size, size)).astype(np.uint8),
        "synthetic": random.integers(0, 256, (clips, 3, size, size)).astype(np.uint8),
        "apex": random.integers(0, 256, (clips, size, size)).astype(np.uint8),
        "label": np.arange(clips, dtype=np.int32),
        "clip": np.array([f"c{n}" for n in range(clips)]),
        "dataset": np.full(clips, "d"),
        "subject": np.full(clips, f"s{seed}"),
    }


def write(run: Path, name: str, content: dict[str, np.ndarray]) -> Path:
    folder = run / "folds" / name
    folder.mkdir(parents=True)
    np.savez_compressed(folder / "synthesis.npz", **content)
    return folder / "synthesis.npz"


def test_folds_come_one_after_another(tmp_path):
    first, second = fold(1), fold(2, clips=1)
    write(tmp_path, "d_s2", second)
    write(tmp_path, "d_s1", first)
    faces = read_faces(tmp_path)
    np.testing.assert_array_equal(faces.onset, np.concatenate([first["onset"], second["onset"]]))
    np.testing.assert_array_equal(faces.synthetic, np.concatenate([first["synthetic"], second["synthetic"]]))
    np.testing.assert_array_equal(faces.apex, np.concatenate([first["apex"], second["apex"]]))
    assert faces.label.dtype == np.int64 and faces.label.tolist() == [0, 1, 0]
    assert faces.subject == [("d", "s1"), ("d", "s1"), ("d", "s2")]
    assert faces.clip == ["c0", "c1", "c0"] and faces.fold == ["d_s1", "d_s1", "d_s2"]


def test_run_without_faces_raises(tmp_path):
    with pytest.raises(UserError, match="no folds/.*finished run with a generator"):
        read_faces(tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"apex": None}, "damaged or incomplete"),
        ({"apex": np.zeros((2, 5, 5), np.uint8)}, "do not belong together"),
        ({"onset": np.zeros((2, 4, 4))}, "do not belong together"),
        ({"clip": np.array(["c0"])}, "do not belong together"),
        ({"label": np.array([0, 3])}, "do not belong together"),
    ],
)
def test_damaged_file_is_named(tmp_path, change, message):
    content = {name: value for name, value in (fold(1) | change).items() if value is not None}
    file = write(tmp_path, "d_s1", content)
    with pytest.raises(UserError, match=message) as raised:
        read_faces(tmp_path)
    assert str(raised.value).startswith(f"{file}: ")


def test_truncated_file_is_named(tmp_path):
    file = write(tmp_path, "d_s1", fold(1))
    file.write_bytes(file.read_bytes()[:200])
    with pytest.raises(UserError, match="damaged or incomplete"):
        read_faces(tmp_path)


def test_folds_that_do_not_fit_together(tmp_path):
    write(tmp_path, "d_s1", fold(1))
    other = write(tmp_path, "d_s2", fold(2, size=6))
    with pytest.raises(UserError, match=r"d_s2.*faces of shape \(3, 6, 6\) beside \(3, 4, 4\)"):
        read_faces(tmp_path)
    other.unlink()
    write(tmp_path, "d_s3", fold(1))
    with pytest.raises(UserError, match="two folds hold the same clip"):
        read_faces(tmp_path)
