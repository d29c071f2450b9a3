"""Checkpoints restore every byte, and the newest two are kept."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from icegan_jax.data.pipeline import fold_batches
from icegan_jax.errors import UserError
from icegan_jax.training.checkpoint import MAX_TO_KEEP, FoldCheckpoints
from icegan_jax.training.state import TrainState, fold_key
from tests.training import tiny

PAIRS = tiny.pairs()
PROGRESS = {"iterator": {"next": 1}, "wall_s": 1.5}


def state_at(step: int) -> TrainState:
    """Return a training state of random numbers."""
    rng = np.random.default_rng(step)

    def params() -> dict[str, Any]:
        shape = (4, 4, 2, 3)
        return {"layer": {"kernel": jnp.asarray(rng.normal(size=shape), jnp.float32), "bias": jnp.zeros(3)}}

    g, d = params(), params()
    return TrainState(
        step=jnp.int32(step),
        key=fold_key(0, "a"),
        g_params=g,
        g_stats={"spectral": {"layer": {"direction": jnp.asarray(rng.normal(size=3), jnp.float32)}}},
        g_opt_state=optax.adam(1e-3).init(g),
        d_params=d,
        d_stats={},
        d_opt_state=optax.adam(optax.cosine_decay_schedule(1e-3, 10)).init(d),
    )


def iterator() -> Any:
    indices = np.flatnonzero(PAIRS.subject != "s0")
    return fold_batches(PAIRS, indices, batch_size=5, seed=7, mirror=True)


def assert_equal_states(actual: TrainState, expected: TrainState) -> None:
    """Compare every byte."""
    chex.assert_trees_all_equal_shapes_and_dtypes(actual.replace(key=None), expected.replace(key=None))
    for one, other in zip(*(jax.tree.leaves(s.replace(key=None)) for s in (actual, expected)), strict=True):
        assert np.asarray(one).tobytes() == np.asarray(other).tobytes()
    chex.assert_trees_all_equal(*(jax.random.key_data(s.key) for s in (actual, expected)))


def test_state_and_iterator_come_back_as_they_were(tmp_path: Path) -> None:
    batches = iterator()
    for _ in range(3):
        next(batches)
    state = state_at(12)
    with FoldCheckpoints(tmp_path) as store:
        store.save(state, batches.get_state())
    expected = next(batches)

    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == {12}
        restored, position = store.restore(12, state_at(0))
    assert_equal_states(restored, state)
    resumed = iterator()
    resumed.set_state(position)
    actual = next(resumed)
    assert actual.keys() == expected.keys()
    for name in expected:
        np.testing.assert_array_equal(actual[name], expected[name])


def test_the_newest_two_are_kept(tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path) as store:
        for step in (2, 4, 6):
            store.save(state_at(step), iterator().get_state())
            store.keep_newest(MAX_TO_KEEP)
        assert store.steps() == {4, 6}
    assert {path.name for path in (tmp_path / "checkpoints").iterdir() if path.name.isdigit()} == {"4", "6"}


def test_an_empty_folder_has_no_steps(tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == set()


def test_a_temporary_checkpoint_does_not_count(tmp_path: Path) -> None:
    """Orbax writes into a folder with another name and renames it when complete."""
    with FoldCheckpoints(tmp_path) as store:
        store.save(state_at(2), iterator().get_state())
    half = tmp_path / "checkpoints" / "4.orbax-checkpoint-tmp" / "state"
    half.mkdir(parents=True)
    (half / "part").write_text("...")
    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == {2}
        store.save(state_at(4), iterator().get_state())
        assert store.steps() == {2, 4}


def test_the_step_list_follows_every_change(tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path, "me") as store:
        for step in (2, 4):
            store.save(state_at(step), PROGRESS)
        with pytest.raises(ValueError, match="step 4 already"):
            store.save(state_at(4), PROGRESS)
        assert store.move_to_damaged(4) == tmp_path / "damaged_checkpoints" / "4"
        assert store.steps() == {2}
        store.save(state_at(3).replace(step=jnp.int32(4)), PROGRESS)  # other content, the same step
        assert store.steps() == {2, 4}
        restored, _ = store.restore(4, state_at(0))
        assert_equal_states(restored, state_at(3).replace(step=jnp.int32(4)))
        assert store.move_to_damaged(4) == tmp_path / "damaged_checkpoints" / "4.1"
        store.save(state_at(4), PROGRESS)
        assert_equal_states(store.restore(4, state_at(0))[0], state_at(4))
        store.delete_after(2)
        assert store.steps() == {2}
        store.save(state_at(6), PROGRESS)
        assert store.steps() == {2, 6}
        store.keep_newest(1)
        assert store.steps() == {6}
        assert_equal_states(store.restore(6, state_at(0))[0], state_at(6))
        store.keep_newest(1)
        assert store.steps() == {6}
    assert {path.name for path in (tmp_path / "damaged_checkpoints").iterdir()} == {"4", "4.1"}
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["6"]


def test_other_entries_are_no_checkpoints(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoints"
    (folder / "abc").mkdir(parents=True)
    for name in ("012", "-4", "4.5", "٣", ".9"):
        (folder / name).mkdir()
    (folder / "12").write_text("a file")
    (folder / "14").symlink_to(tmp_path / "nowhere")
    (folder / "16.orbax-checkpoint-tmp").write_text("a file")
    (folder / "18.unfinished").symlink_to(tmp_path)
    with FoldCheckpoints(tmp_path, "me") as store:
        assert store.steps() == set()
        for step in (12, 14, 16, 18):
            store.save(state_at(step), PROGRESS)
            store.keep_newest(MAX_TO_KEEP)
        assert store.steps() == {16, 18}
        assert_equal_states(store.restore(18, state_at(0))[0], state_at(18))
    assert (tmp_path / "damaged_checkpoints" / "12").read_text() == "a file"
    assert (tmp_path / "damaged_checkpoints" / "14").is_symlink()
    assert {path.name for path in folder.iterdir()} == {"16", "18", "abc", "012", "-4", "4.5", "٣", ".9"}


def test_a_link_to_a_checkpoint_is_one(tmp_path: Path) -> None:
    """The user moved it to another disk; the target of the link is never deleted."""
    with FoldCheckpoints(tmp_path, "me") as store:
        store.save(state_at(2), PROGRESS)
    elsewhere = tmp_path / "elsewhere"
    (tmp_path / "checkpoints" / "2").rename(elsewhere)
    (tmp_path / "checkpoints" / "2").symlink_to(elsewhere)
    with FoldCheckpoints(tmp_path, "me") as store:
        assert_equal_states(store.restore(2, state_at(0))[0], state_at(2))
        store.delete_after(0)
        assert store.steps() == set()
    assert (elsewhere / "inventory.json").exists()


@pytest.mark.parametrize("name", ["", "checkpoints"])
def test_a_file_in_place_of_a_folder(name: str, tmp_path: Path) -> None:
    path = tmp_path / "fold" / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("")
    with pytest.raises(UserError, match="fold/checkpoints: is not a folder; move it away$"):
        FoldCheckpoints(tmp_path / "fold")


def test_a_file_in_place_of_the_folder_of_damaged_checkpoints(tmp_path: Path) -> None:
    with FoldCheckpoints(tmp_path) as store:
        store.save(state_at(2), PROGRESS)
        (tmp_path / "damaged_checkpoints").write_text("")
        with pytest.raises(UserError, match="damaged_checkpoints: is not a folder; move it away$"):
            store.move_to_damaged(2)
        assert store.steps() == {2}


def test_an_interrupted_deletion_is_finished_by_the_next_start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def killed(path: Path) -> None:
        if path.exists():
            raise KeyboardInterrupt

    with FoldCheckpoints(tmp_path) as store:
        store.save(state_at(2), PROGRESS)
        store.save(state_at(4), PROGRESS)
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr("icegan_jax.training.checkpoint.remove", killed)
            store.delete_after(2)
        assert {path.name for path in (tmp_path / "checkpoints").iterdir()} == {"2", "4.unfinished"}
        assert store.steps() == {2}
    with FoldCheckpoints(tmp_path) as store:
        assert store.steps() == {2}
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["2"]


KILLS = 15
KILLED = """
import os, random, signal, sys, time
from pathlib import Path
import numpy as np
from icegan_jax.training.checkpoint import FoldCheckpoints
from icegan_jax.training.state import TrainState

folder, kills = Path(sys.argv[1]), int(sys.argv[2])

def content(step):
    "Of numpy alone: jax takes a second to compile what makes a state."
    arrays = {str(i): np.random.default_rng([step, i]).normal(size=5000) for i in range(4)}
    return TrainState(np.array(step, np.int32), None, arrays, {}, {}, {}, {}, {})

def check(state, step):
    assert state.step == step and state.g_params.keys() == content(step).g_params.keys()
    assert all(np.array_equal(array, content(step).g_params[name]) for name, array in state.g_params.items())

def work(pipe):
    "Checks every checkpoint that is there, then saves one after the other."
    with FoldCheckpoints(folder, "me") as store:
        assert {path.name for path in (folder / "checkpoints").iterdir()} == {str(step) for step in store.steps()}
        for step in store.steps():
            state, progress = store.restore(step, content(0))
            check(state, step)
            assert progress == {"at": step}
        step = max(store.steps(), default=0)
        os.write(pipe, f"{step} {len(store.steps())}\\n".encode())
        while True:
            step += 1
            store.save(content(step), {"at": step})
            store.keep_newest(2)
            os.write(pipe, f"{step} {len(store.steps())}\\n".encode())

rng, last, unfinished = random.Random(0), 0, 0
for kill in range(kills):
    reader, writer = os.pipe()
    child = os.fork()  # before this process has any thread of jax: starting Python anew takes seconds
    if child == 0:
        try:
            work(writer)
        finally:
            os._exit(1)
    os.close(writer)
    lines = os.fdopen(reader)
    step, count = map(int, lines.readline().split())
    assert step in (last, last + 1) and (count == 2 or step < 2 or count == 3), (last, step, count)
    before = time.perf_counter()
    reported = [lines.readline() for save in range(rng.randint(1, 2))]
    time.sleep(rng.random() * (time.perf_counter() - before) / len(reported))  # a part of what a save takes
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    reported = [tuple(map(int, line.split())) for line in [*reported, *lines]]
    assert all(count == min(step, 2) for step, count in reported), reported
    last = reported[-1][0]
    unfinished += any(not path.name.isdigit() for path in (folder / "checkpoints").iterdir())
print(kills, last, unfinished)
"""


def test_killed_in_the_middle_of_saves(tmp_path: Path) -> None:
    """Exactly the checkpoints that were reported as saved are there after the next start, intact."""
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", KILLED, str(tmp_path), str(KILLS)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(__file__).parents[2])
    assert done.returncode == 0 and not done.stderr, done.stderr
    kills, last, unfinished = map(int, done.stdout.split())
    assert kills == KILLS and last >= KILLS
    assert unfinished > 2  # kills that struck in the middle of a save or a removal
