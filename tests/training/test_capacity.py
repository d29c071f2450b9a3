"""How many folds side by side: the arithmetic, what it asks of XLA, and the lines it leaves."""

import math
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
import pytest

from icegan_jax.errors import UserError
from icegan_jax.training import memory
from icegan_jax.training import parallel as parallel_module
from icegan_jax.training.memory import MOST_ON_CPU, USED, FoldCapacity, balanced_folds, plan_capacity
from icegan_jax.training.parallel import FoldLayout, ParallelPrograms, build_programs, vmap_folds
from icegan_jax.training.state import TrainConfig
from tests.training import tiny

NETWORKS = tiny.models()
DEVICES = jax.local_devices()
AUTO = tiny.train_config(folds_per_device=0)


@pytest.mark.parametrize(
    ("folds", "holders", "room", "expected"),
    [
        (9, 1, 8, 5),  # 5 + 4
        (8, 1, 8, 8),
        (68, 1, 40, 34),  # 34 + 34
        (68, 1, 1000, 68),
        (68, 8, 4, 3),  # 3 groups of 24, the last of 20
        (3, 4, 8, 1),
        (5, 1, 1, 1),
    ],
)
def test_groups_are_as_few_and_as_equal_as_can_be(folds: int, holders: int, room: int, expected: int) -> None:
    actual = balanced_folds(folds, holders, room)
    assert actual == expected <= room
    groups = math.ceil(folds / (actual * holders))
    assert groups == math.ceil(folds / (room * holders))


Needs = Callable[[int], int]


def fit(
    monkeypatch: pytest.MonkeyPatch,
    free: int | None,
    needs: Needs = lambda number: 100 * number,
    *,
    folds: int = 9,
    todo: int | None = None,
    devices: int = 1,
    train_config: TrainConfig = AUTO,
    platform: str = "gpu",
    sharers: int = 1,
) -> tuple[FoldCapacity, list[int]]:
    """Fits folds of made-up sizes; also returns the numbers of folds that were asked about."""
    asked = []

    def needed(
        programs: ParallelPrograms, train_config: TrainConfig, size: int, layout: FoldLayout, on_cpu: bool
    ) -> int:
        assert on_cpu == (platform == "cpu")
        asked.append(layout.folds_per_device)
        return needs(layout.folds_per_device)

    class Device:
        device_kind = "made up"

        def __init__(self) -> None:
            self.platform = platform

    monkeypatch.setattr(memory, "_needed", needed)
    monkeypatch.setattr(memory, "free_bytes", lambda _: free)
    monkeypatch.setattr(memory, "build_programs", lambda *_: build_programs(NETWORKS, DEVICES[:1]))
    made: Any = [Device() for _ in range(devices)]
    return plan_capacity(NETWORKS, train_config, made, folds, folds if todo is None else todo, sharers), asked


def test_as_many_as_fit_into_four_fifths_of_what_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    assert USED == 0.8
    assert fit(monkeypatch, 1000)[0].layout.folds_per_device == 5  # room for 8: 5 + 4
    assert fit(monkeypatch, 1125)[0].layout.folds_per_device == 9
    assert fit(monkeypatch, 374)[0].layout.folds_per_device == 2
    assert fit(monkeypatch, 10**9)[0].layout.folds_per_device == 9


def test_two_programs_are_compiled_at_most_where_memory_grows_evenly(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fit(monkeypatch, 1000)[1] == [1, 5]
    assert fit(monkeypatch, 125)[1] == [1]


def test_a_program_that_needs_more_than_its_folds_alone_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = fit(monkeypatch, 1000, lambda number: 100 * number if number < 4 else 200 * number)
    assert asked == [1, 5, 3]  # 5 need 1000, 4 at most would fit; groups of 3
    assert made.layout.folds_per_device == 3
    made, asked = fit(monkeypatch, 1000, lambda number: 100 if number == 1 else 801)
    assert (made.layout.folds_per_device, asked[0]) == (1, 1)


def test_the_program_of_one_fold_serves_where_one_was_chosen(monkeypatch: pytest.MonkeyPatch) -> None:
    built = []

    def build(*arguments: Any) -> ParallelPrograms:
        built.append(build_programs(NETWORKS, DEVICES[:1]))
        return built[-1]

    monkeypatch.setattr(memory, "free_bytes", lambda _: 10**12)
    monkeypatch.setattr(memory, "_needed", lambda *_: 7 * 10**11)
    monkeypatch.setattr(memory, "build_programs", build)
    made = plan_capacity(NETWORKS, AUTO, DEVICES[:1], 3, 3)
    assert made.layout.folds_per_device == 1
    assert built == [made.programs]


def test_not_even_one_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError) as caught:
        fit(monkeypatch, 2**31, lambda _: 2**31)
    assert str(caught.value) == (
        "one fold needs 2.00 GiB, but 1.60 GiB may be used of 2.00 GiB free for each of 1 x made up: "
        f"lower config.training.batch_size ({tiny.BATCH}) or config.model.width"
    )


def test_memory_of_which_nobody_tells(monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = fit(monkeypatch, None)
    assert (made.layout.folds_per_device, asked) == (1, [])
    assert made.reason == "1 fold on each of 1 x made up: its free memory is not known"


def test_the_choice_is_printed_with_its_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    gib = 2**30
    made, _ = fit(monkeypatch, 10 * gib, lambda number: number * gib)
    line = "a fold needs 1.00 GiB, 8.00 GiB of 10.00 free on each may be used"
    assert made.reason == f"5 folds at a time on 1 x made up, 2 groups: {line}"
    made, _ = fit(monkeypatch, 10 * gib, lambda number: number * gib, platform="cpu", folds=1)
    assert made.reason == f"1 fold at a time on 1 x made up, 1 group: {line}; more than 1 gain nothing on a CPU"


def test_what_the_plan_says_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = fit(monkeypatch, 1, train_config=tiny.train_config(folds_per_device=2))
    assert (made.layout.folds_per_device, made.reason, made.compile_s, asked) == (2, "", 0.0, [])


def test_devices_without_a_fold_are_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    assert fit(monkeypatch, 10**9, folds=9, devices=8)[0].layout.leading_shape == (5, 2)
    assert fit(monkeypatch, 10**9, folds=3, devices=8)[0].layout.leading_shape == (3, 1)
    assert fit(monkeypatch, None, train_config=tiny.train_config(folds_per_device=4), folds=9, devices=8)[
        0
    ].layout.leading_shape == (3, 4)


def test_devices_that_share_batches_all_hold_every_fold(monkeypatch: pytest.MonkeyPatch) -> None:
    train_config = tiny.train_config(folds_per_device=0, parallel="batch")
    made, _ = fit(monkeypatch, 1000, folds=9, devices=3, train_config=train_config)
    assert (made.layout.leading_shape, made.layout.folds, made.layout.parallel) == ((3, 5), 5, "batch")


def test_the_devices_and_processes_of_a_cpu_share_its_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(memory, "MOST_ON_CPU", 8)
    assert fit(monkeypatch, 800, platform="cpu", devices=1)[0].layout.leading_shape == (1, 5)  # room for 6: 5 + 4
    assert fit(monkeypatch, 800, platform="cpu", devices=2)[0].layout.leading_shape == (2, 3)
    assert fit(monkeypatch, 800, platform="cpu", devices=2, sharers=2)[0].layout.leading_shape == (2, 1)
    assert fit(monkeypatch, 800, devices=2, sharers=2)[0].layout.leading_shape == (2, 5)


def test_more_than_a_cpu_gains_by_are_not_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    made, asked = fit(monkeypatch, 10**9, folds=68, platform="cpu")
    assert (made.layout.folds_per_device, asked) == (MOST_ON_CPU, [1])
    assert fit(monkeypatch, 10**9, folds=68, platform="cpu", devices=4)[0].layout.leading_shape == (4, MOST_ON_CPU)
    assert fit(monkeypatch, 10**9, folds=68)[0].layout.folds == 68


def test_an_interrupted_run_goes_on_with_its_programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of nine folds, five and four: the four that are left train as they would have; two do not train as five."""
    assert fit(monkeypatch, 1000, folds=9, todo=4)[0].layout.folds == 5
    assert fit(monkeypatch, 1000, folds=9, todo=2)[0].layout.folds == 2
    assert fit(monkeypatch, 1000, folds=9, todo=1)[0].layout.folds == 1


@pytest.fixture(scope="module")
def held() -> dict[int, tuple[int, int]]:
    """Bytes for 1 and 4 folds at once: what XLA plans for the training program, and what training is taken to need."""
    actual = {}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(parallel_module, "fold_map", lambda _: vmap_folds)  # as on an accelerator
        for number in (1, 4):
            layout = FoldLayout(tuple(DEVICES[:1]), number)
            programs = build_programs(NETWORKS, layout.devices)
            needed = memory._needed(programs, AUTO, tiny.SIZE, layout, False)
            actual[number] = programs.train_steps.memory_bytes(), needed
    return actual


def test_memory_grows_with_the_folds(held: dict[int, tuple[int, int]]) -> None:
    """Four folds hold four times as much as one, to a tenth: half of the margin that is left free."""
    assert held[4][0] == pytest.approx(4 * held[1][0], rel=0.1)
    assert held[4][1] <= 4.4 * held[1][1]


def test_loop_folds_needs_no_more_memory_than_vmap_folds(held: dict[int, tuple[int, int]]) -> None:
    """What one fold needs, times their number, is enough on a CPU too."""
    layout = FoldLayout(tuple(DEVICES[:1]), 4)
    programs = build_programs(NETWORKS, layout.devices)
    assert memory._needed(programs, AUTO, tiny.SIZE, layout, False) <= held[4][1]


def test_what_is_needed_is_the_program_and_what_lies_beside_it(held: dict[int, tuple[int, int]]) -> None:
    state = memory._bytes(build_programs(NETWORKS, DEVICES[:1]).state_shapes())
    batch = AUTO.steps_per_call * AUTO.batch_size * (2 * tiny.SIZE**2 + 4)
    for number, (program, needed) in held.items():
        assert program > number * (state + batch)
        assert needed == program + number * 2 * batch + 2 * state


def test_the_programs_after_training_need_less(held: dict[int, tuple[int, int]]) -> None:
    layout = FoldLayout(tuple(DEVICES[:1]), 4)
    programs = build_programs(NETWORKS, layout.devices)
    states = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct((1, 4, *leaf.shape), leaf.dtype), programs.state_shapes())
    faces = jax.ShapeDtypeStruct((1, 4, tiny.BATCH, tiny.SIZE, tiny.SIZE, 1), np.uint8)
    programs.predict.compile(states, faces, faces)
    programs.synthesize_classes.compile(states, faces)
    assert programs.predict.memory_bytes() < held[4][0]
    assert programs.synthesize_classes.memory_bytes() < held[4][0]


def test_what_was_compiled_to_be_measured_is_what_trains(monkeypatch: pytest.MonkeyPatch) -> None:
    layout = FoldLayout(tuple(DEVICES[:1]), 4)
    programs = build_programs(NETWORKS, layout.devices)
    memory._needed(programs, AUTO, tiny.SIZE, layout, True)
    assert len(programs.compile_s) == 1
    keys = jax.random.split(jax.random.key(0), 4)
    states = programs.create_state(layout.device_put(layout.shard(keys)))
    batch = tiny.batch()
    steps = {name: np.stack([np.stack([value] * AUTO.steps_per_call)] * 4) for name, value in batch.items()}
    states, _ = programs.train_steps(
        states, layout.device_put({name: layout.shard_batches(v) for name, v in steps.items()})
    )
    assert len(programs.compile_s) == 2  # create and train_steps
    assert np.asarray(states.step).tolist() == [[AUTO.steps_per_call] * 4]
