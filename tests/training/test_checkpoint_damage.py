"""A damaged checkpoint is refused with a reason and without other output."""

import errno
import json
import os
import shutil
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest
import tensorstore

from icegan_jax.errors import UserError
from icegan_jax.io import read_json_with_checksum, sha256_of, write_json_with_checksum
from icegan_jax.training.checkpoint import DamagedCheckpoint, FoldCheckpoints, tree_digest
from icegan_jax.training.state import TrainState
from tests.training.test_checkpoint import PROGRESS, assert_equal_states, state_at

STEP = 4
OWNER = "run 1/s1"


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a fold with one checkpoint."""
    folder = tmp_path_factory.mktemp("written")
    with FoldCheckpoints(folder, OWNER) as store:
        store.save(state_at(STEP), PROGRESS)
    return folder


@pytest.fixture
def fold(written: Path, tmp_path: Path) -> Path:
    shutil.copytree(written, tmp_path / "fold")
    return tmp_path / "fold"


def checkpoint(fold: Path, step: int = STEP) -> Path:
    return fold / "checkpoints" / str(step)


def restore(fold: Path, step: int = STEP, like: TrainState | None = None) -> tuple[TrainState, dict[str, Any]]:
    with FoldCheckpoints(fold, OWNER) as store:
        assert store.steps() == {step}
        return store.restore(step, state_at(0) if like is None else like)


def refusal(fold: Path, step: int = STEP, like: TrainState | None = None) -> str:
    with pytest.raises(DamagedCheckpoint) as caught:
        restore(fold, step, like)
    reason = str(caught.value)
    assert "\n" not in reason and str(fold) not in reason and len(reason) < 250
    return reason


def files(folder: Path) -> list[str]:
    actual = [path.relative_to(folder).as_posix() for path in sorted(folder.rglob("*")) if path.is_file()]
    assert len(actual) > 8
    assert {"inventory.json", "progress/metadata", "state/_METADATA", "state/manifest.ocdbt"} <= set(actual)
    return actual


def edit_inventory(folder: Path, **changes: Any) -> None:
    """Change the inventory of a checkpoint, with a new checksum, as a wrong program would."""
    write_json_with_checksum(folder / "inventory.json", read_json_with_checksum(folder / "inventory.json") | changes)


def renew_inventory(folder: Path) -> None:
    """Write the inventory for the current files, so that only the digests of the content differ."""
    names = [name for name in files(folder) if name != "inventory.json"]
    edit_inventory(folder, files={name: sha256_of(folder / name) for name in names})


def rewrite(folder: Path, key: str, change: Callable[[bytes], bytes | None]) -> None:
    """Change an entry of the database of the arrays with its own library, and renew the inventory."""
    base = {"driver": "file", "path": f"{folder / 'state'}/"}
    arrays = tensorstore.KvStore.open({"driver": "ocdbt", "base": base}).result()
    value = arrays[key]
    changed = change(value)
    assert changed != value
    if changed is None:
        del arrays[key]
    else:
        arrays[key] = changed
    renew_inventory(folder)


def zeros(value: bytes) -> bytes:
    """Return the stored chunk of an array of shape [4, 4, 2, 3] that is all zeros."""
    spec = {"driver": "zarr", "kvstore": "memory://", "metadata": {"shape": [4, 4, 2, 3], "dtype": "<f4"}}
    spec["metadata"] |= {"chunks": [4, 4, 2, 3], "compressor": {"id": "zstd", "level": 1}}
    spec["store_data_equal_to_fill_value"] = True
    array = tensorstore.open(spec, create=True).result()
    array.write(np.zeros((4, 4, 2, 3), np.float32)).result()
    return bytes(array.kvstore["0.0.0.0"])


def test_an_intact_checkpoint_is_restored(fold: Path) -> None:
    state, notes = restore(fold)
    assert_equal_states(state, state_at(STEP))
    assert notes == PROGRESS


def test_the_digest_covers_names_shapes_and_dtypes_and_copies_nothing() -> None:
    trees: list[Any] = [{"a": np.zeros((2, 3))}, {"b": np.zeros((2, 3))}, {"a": np.zeros((3, 2))}]
    trees += [{"a": np.zeros((2, 3), np.int64)}, {"a": {"a": np.zeros((2, 3))}}, {"a": np.full((2, 3), -0.0)}, {}]
    assert len({tree_digest(tree) for tree in trees}) == len(trees)
    assert tree_digest({"a": np.zeros((2, 3)).T.copy().T}) == tree_digest(trees[0])
    large = {str(i): np.zeros(1_000_000) for i in range(3)}
    tracemalloc.start()
    try:
        tree_digest(large)
        assert tracemalloc.get_traced_memory()[1] < 100_000
    finally:
        tracemalloc.stop()


DAMAGES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "cut in the middle": (lambda content: content[: len(content) // 2], "damaged"),
    "emptied": (lambda content: b"", "damaged"),
    "longer": (lambda content: content + b"\0", "damaged"),
    "of zeros": (lambda content: bytes(len(content)), "damaged"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_every_file_damaged(damage: str, fold: Path, capfd: pytest.CaptureFixture[str]) -> None:
    change, reason = DAMAGES[damage]
    for name in files(checkpoint(fold)):
        path = checkpoint(fold) / name
        content = path.read_bytes()
        path.write_bytes(change(content))
        assert refusal(fold) == f"the file {name} is {reason}"
        path.write_bytes(content)
    assert_equal_states(restore(fold)[0], state_at(STEP))
    assert capfd.readouterr() == ("", "")


def test_one_bit_of_every_file_flipped(fold: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rng = np.random.default_rng(6)
    for name in files(checkpoint(fold)):
        path = checkpoint(fold) / name
        content = path.read_bytes()
        for _ in range(5):
            flipped = bytearray(content)
            flipped[rng.integers(len(content))] ^= 1 << rng.integers(8)
            path.write_bytes(flipped)
            assert refusal(fold) == f"the file {name} is damaged"
        path.write_bytes(content)
    assert_equal_states(restore(fold)[0], state_at(STEP))
    assert capfd.readouterr() == ("", "")


def test_every_file_and_folder_missing(fold: Path, written: Path) -> None:
    names = [path.relative_to(checkpoint(written)) for path in sorted(checkpoint(written).rglob("*"))]
    for name in names:
        path = checkpoint(fold) / name
        if path.is_dir():
            shutil.rmtree(path)
            assert refusal(fold).startswith(f"the file {name}/")
        else:
            path.unlink()
            assert refusal(fold) == f"the file {name} is missing"
            path.mkdir()
            assert refusal(fold) == f"the file {name} is damaged"
        shutil.rmtree(fold)
        shutil.copytree(written, fold)
    shutil.rmtree(checkpoint(fold))
    checkpoint(fold).mkdir()
    assert refusal(fold) == "the file inventory.json is missing"


def test_other_folds_and_runs_and_steps(fold: Path, tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path / "other", "run 1/s2") as store:
        store.save(state_at(STEP), PROGRESS)
    aside = checkpoint(fold).rename(tmp_path / "aside")
    checkpoint(tmp_path / "other").rename(checkpoint(fold))
    assert refusal(fold) == "it is of another run or fold"
    shutil.rmtree(checkpoint(fold))
    aside.rename(checkpoint(fold, 6))
    assert refusal(fold, 6) == "it is of step 4"
    edit_inventory(checkpoint(fold, 6), owner="run 2/s1")
    assert refusal(fold, 6) == "it is of another run or fold"


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"d_params": {"layer": {"bias": jnp.zeros(5)}}}, "d_params/layer/bias is float32[3], expected float32[5]"),
        (
            {"g_stats": {"spectral": {"layer": {"direction": jnp.zeros(3, jnp.int32)}}}},
            "g_stats/spectral/layer/direction is float32[3], expected int32[3]",
        ),
        ({"d_stats": {"mean": jnp.zeros(2)}}, "d_stats/mean is missing, expected float32[2]"),
        ({"g_stats": {}}, "g_stats/spectral/layer/direction is float32[3], expected none"),
    ],
)
def test_other_arrays(changes: dict[str, Any], reason: str, fold: Path) -> None:
    assert refusal(fold, like=state_at(0).replace(**changes)) == f"it holds other arrays: {reason}"


def test_other_content_with_matching_file_checksums(fold: Path) -> None:
    """Arrays and progress that were changed before their files were written."""
    notes = checkpoint(fold) / "progress" / "metadata"
    right = notes.read_text()
    notes.write_text(json.dumps(PROGRESS | {"wall_s": 1.25}))
    renew_inventory(checkpoint(fold))
    assert refusal(fold) == "its content is not what was written"
    notes.write_text(right)
    renew_inventory(checkpoint(fold))
    assert_equal_states(restore(fold)[0], state_at(STEP))
    with FoldCheckpoints(fold, OWNER) as store:
        store.move_to_damaged(STEP)
        store.save(state_at(3).replace(step=jnp.int32(STEP)), PROGRESS)
    expected = read_json_with_checksum(fold / "damaged_checkpoints" / str(STEP) / "inventory.json")["state"]
    edit_inventory(checkpoint(fold), state=expected)
    assert refusal(fold) == "its content is not what was written"


def test_a_missing_chunk_is_not_read_as_zeros(fold: Path, capfd: pytest.CaptureFixture[str]) -> None:
    rewrite(checkpoint(fold), "d_params.layer.kernel/0.0.0.0", lambda value: None)
    assert refusal(fold).startswith("it cannot be read (ValueError: NOT_FOUND: ")
    rewrite(checkpoint(fold), "g_params.layer.kernel/.zarray", lambda value: value.replace(b"[4,4,2,3]", b"[4,4,2,2]"))
    assert refusal(fold).startswith("it holds other arrays: g_params/layer/kernel is float32[4, 4, 2, 2]")
    assert capfd.readouterr() == ("", "")


def test_zeros_in_place_of_a_missing_chunk(fold: Path) -> None:
    """As tensorstore reads a missing chunk by default."""
    rewrite(checkpoint(fold), "d_params.layer.kernel/0.0.0.0", zeros)
    assert refusal(fold) == "its content is not what was written"


def test_a_huge_shape_is_refused(fold: Path) -> None:
    """Reading it would take 2**50 bytes: more memory than there is."""
    rewrite(
        checkpoint(fold),
        "d_params.layer.bias/.zarray",
        lambda value: json.dumps(json.loads(value) | {"shape": [2**48]}).encode(),
    )
    assert refusal(fold).startswith("it holds other arrays: d_params/layer/bias is float32[281474976710656]")


def test_a_file_with_a_checksum_but_other_content(fold: Path) -> None:
    write_json_with_checksum(checkpoint(fold) / "inventory.json", {"scores": [1, 2]})
    assert refusal(fold) == "it cannot be read (KeyError: 'owner')"


def test_a_checkpoint_of_an_older_version(tmp_path: Path) -> None:
    items = ocp.args.Composite(state=ocp.args.StandardSave({"a": np.zeros(3)}), progress=ocp.args.JsonSave({}))
    ocp.Checkpointer(ocp.CompositeCheckpointHandler()).save(checkpoint(tmp_path / "old"), args=items)
    assert refusal(tmp_path / "old") == "the file inventory.json is missing"


@pytest.mark.parametrize("number", [errno.EACCES, errno.EMFILE, errno.ESTALE])
def test_a_temporary_read_error_is_no_damage(number: int, fold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(number, os.strerror(number), str(path))

    with monkeypatch.context() as patched:
        patched.setattr("icegan_jax.training.checkpoint.sha256_of", fail)
        with pytest.raises(UserError, match=f"checkpoints/4: cannot be read .{os.strerror(number)}.; correct"):
            restore(fold)
    assert_equal_states(restore(fold)[0], state_at(STEP))


def test_a_lack_of_memory_is_not_damage(fold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise MemoryError

    monkeypatch.setattr("icegan_jax.training.checkpoint.sha256_of", fail)
    with pytest.raises(MemoryError):
        restore(fold)


def test_a_sector_that_cannot_be_read_is_damage(fold: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(path: Path) -> str:
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    monkeypatch.setattr("icegan_jax.training.checkpoint.sha256_of", fail)
    assert refusal(fold) == "it cannot be read (OSError: [Errno 5] Input/output error)"
