import dataclasses
from collections import Counter
from typing import Any

import numpy as np
import pytest

from icegan_jax.data.pipeline import Batch, fold_batches
from icegan_jax.errors import UserError
from tests.data.conftest import pairs_of, record

PAIRS = pairs_of([record("d", "s", f"c{i}", i % 3, 0, seed=i) for i in range(23)])
INDICES = np.arange(3, 23)
AUGMENTED = {"shift": 3, "brightness": 0.1}
RESTING = {"resting": 2, **AUGMENTED}


def _draw(count: int, *, batch_size: int = 4, seed: int = 0, mirror: bool = True, **more: Any) -> list[Batch]:
    batches = fold_batches(PAIRS, INDICES, batch_size=batch_size, seed=seed, mirror=mirror, **more)
    return [next(batches) for _ in range(count)]


def _same(a: Batch, b: Batch) -> bool:
    return a.keys() == b.keys() and all(np.array_equal(a[k], b[k]) for k in a)


def test_batch_holds_the_pairs_it_names() -> None:
    for batch in _draw(5, mirror=False):
        index = batch["index"]
        assert {k: (v.shape, str(v.dtype)) for k, v in batch.items()} == {
            "onset": ((4, 16, 16, 1), "uint8"),
            "apex": ((4, 16, 16, 1), "uint8"),
            "label": ((4,), "int32"),
            "index": ((4,), "int32"),
        }
        np.testing.assert_array_equal(batch["onset"][..., 0], PAIRS.onset[index])
        np.testing.assert_array_equal(batch["apex"][..., 0], PAIRS.apex[index])
        np.testing.assert_array_equal(batch["label"], PAIRS.label[index])


def test_every_pass_holds_every_pair_once_in_a_new_order() -> None:
    drawn = np.concatenate([b["index"] for b in _draw(15)]).reshape(3, 20)
    for one_pass in drawn:
        assert sorted(one_pass) == INDICES.tolist()
    assert len({tuple(one_pass) for one_pass in drawn}) == 3


def test_batches_span_passes_and_may_exceed_them() -> None:
    counts = Counter(np.concatenate([b["index"] for b in _draw(2, batch_size=30)]).tolist())
    assert counts == dict.fromkeys(INDICES.tolist(), 3)


def test_mirroring_turns_onset_and_apex_together_and_anew_each_pass() -> None:
    flips: dict[int, list[bool]] = {}
    for batch in _draw(50):  # 10 passes
        for onset, apex, index in zip(batch["onset"], batch["apex"], batch["index"], strict=True):
            flipped = not np.array_equal(onset[..., 0], PAIRS.onset[index])
            step = -1 if flipped else 1
            np.testing.assert_array_equal(onset[..., 0], PAIRS.onset[index][:, ::step])
            np.testing.assert_array_equal(apex[..., 0], PAIRS.apex[index][:, ::step])
            flips.setdefault(int(index), []).append(flipped)
    assert 60 < sum(map(sum, flips.values())) < 140  # of 200, a binomial half: 5.6 sigma
    assert sum(len(set(f)) == 2 for f in flips.values()) >= 18  # a pair is not always turned alike


def test_a_shifted_pair_repeats_its_edge() -> None:
    """Onset and apex together; every one of the 25 movements of up to two pixels occurs."""
    padded = {name: np.pad(getattr(PAIRS, name), ((0, 0), (2, 2), (2, 2)), "edge") for name in ("onset", "apex")}
    seen: Counter[tuple[int, int]] = Counter()
    for batch in _draw(100, mirror=False, shift=2):
        for onset, apex, index in zip(batch["onset"], batch["apex"], batch["index"], strict=True):
            fits = [
                (2 - top, 2 - left)
                for top in range(5)
                for left in range(5)
                if np.array_equal(onset[..., 0], padded["onset"][index, top : top + 16, left : left + 16])
                and np.array_equal(apex[..., 0], padded["apex"][index, top : top + 16, left : left + 16])
            ]
            assert len(fits) == 1
            seen[fits[0]] += 1
    assert set(seen) == {(down, across) for down in range(-2, 3) for across in range(-2, 3)}
    assert max(seen.values()) < 36  # of 400, evenly 16: 5 sigma


def test_a_lighter_pair_is_lighter_by_the_same_gray_level_and_clipped() -> None:
    gray = np.array([[0, 40], [128, 255]], np.uint8).repeat(8, 0).repeat(8, 1)
    pairs = dataclasses.replace(PAIRS, onset=np.stack([gray] * 23), apex=np.stack([255 - gray] * 23))
    batches = fold_batches(pairs, INDICES, batch_size=100, seed=0, mirror=False, brightness=0.2)
    levels = []
    for batch in (next(batches) for _ in range(4)):
        for onset, apex in zip(batch["onset"][..., 0], batch["apex"][..., 0], strict=True):
            level = int(onset[8, 0]) - 128
            for actual, face in ((onset, gray), (apex, 255 - gray)):
                np.testing.assert_allclose(actual, np.clip(face.astype(int) + level, 0, 255), atol=1)  # 127.5 is a half
            levels.append(level)
    assert 45 < max(levels) <= 51 and -51 <= min(levels) < -45  # 0.2 * 255
    assert abs(np.mean(levels)) < 7.5  # 400 draws, 29.4 / 20: 5 sigma


def test_movement_and_brightness_leave_order_and_mirroring_alone() -> None:
    plain, more = _draw(8), _draw(8, **AUGMENTED)
    for a, b in zip(plain, more, strict=True):
        np.testing.assert_array_equal(a["index"], b["index"])
        for face, other in zip(a["apex"], b["apex"], strict=True):
            middle, windows = (
                face[3:-3, 3:-3, 0].astype(int),
                np.lib.stride_tricks.sliding_window_view(other[..., 0], (10, 10)),
            )
            change = np.ptp(windows - middle, axis=(2, 3)).min()
            assert change <= 30  # 25.5 and clipping; of noise faces no other window and no mirror image comes near
    assert not any(map(_same, plain, more))


def test_resting_pairs_are_those_of_the_first_pairs_and_leave_the_others_alone() -> None:
    face = np.full((23, 16, 16), 128, np.uint8)  # onset and resting face are recognized after mirroring and shifting
    pairs = dataclasses.replace(PAIRS, onset=face + np.arange(23, dtype=np.uint8)[:, None, None], rest=face)
    draws = []
    for resting in (0, 3):
        batches = fold_batches(pairs, INDICES, batch_size=6, seed=3, mirror=True, shift=3, resting=resting)
        draws.append([next(batches) for _ in range(9)])
    for without, batch in zip(*draws, strict=True):
        assert _same(without, {name: batch[name] for name in without})
        np.testing.assert_array_equal(batch["rest_onset"], batch["onset"][:3])
        assert batch["rest"].shape == (3, 16, 16, 1) and abs(batch["rest"].astype(float).mean() - 128) < 6
    assert len({batch["rest"].tobytes() for batch in draws[1]}) > 5


def test_pairs_in_memory_are_left_as_they_are() -> None:
    before = PAIRS.onset.copy()
    _draw(10, **AUGMENTED)
    np.testing.assert_array_equal(PAIRS.onset, before)


def test_the_seed_decides() -> None:
    assert all(map(_same, _draw(8), _draw(8)))
    assert not all(map(_same, _draw(8), _draw(8, seed=1)))


@pytest.mark.parametrize("more", [{}, AUGMENTED, RESTING], ids=["mirrored", "augmented", "resting"])
@pytest.mark.parametrize("before", [0, 1, 4, 5, 13])
def test_state_resumes_at_the_exact_batch(before: int, more: dict[str, Any]) -> None:
    first = fold_batches(PAIRS, INDICES, batch_size=6, seed=3, mirror=True, **more)
    for _ in range(before):
        next(first)
    state = first.get_state()
    expected = [next(first) for _ in range(12)]
    second = fold_batches(PAIRS, INDICES, batch_size=6, seed=3, mirror=True, **more)
    second.set_state(state)
    assert all(map(_same, [next(second) for _ in range(12)], expected))


def test_invalid_arguments_raise() -> None:
    with pytest.raises(UserError, match="no pairs to draw"):
        fold_batches(PAIRS, np.array([], np.int64), batch_size=4, seed=0, mirror=True)
    with pytest.raises(UserError, match="batch size 0"):
        fold_batches(PAIRS, INDICES, batch_size=0, seed=0, mirror=True)
