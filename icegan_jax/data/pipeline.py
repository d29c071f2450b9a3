"""Batches of a fold (Grain): shuffled, endless, and exactly resumable."""

from typing import Any

import numpy as np
from grain import DatasetIterator, MapDataset, ReadOptions
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.data.resting import disturb
from icegan_jax.errors import UserError

Batch = dict[str, NDArray[np.generic]]
# The fields are the index, whether the pair is mirrored, the shift in pixels down and right, gray levels to add, and
# the seed of ``disturb``.
_Augmentation = tuple[int, bool, int, int, float, int]


_MAX_BATCHES = 2**31 - 1  # as many as updates can be counted


def fold_batches(
    pairs: Pairs,
    indices: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    mirror: bool,
    shift: int = 0,
    brightness: float = 0.0,
    resting: int = 0,
) -> DatasetIterator[Batch]:
    """Return an endless iterator over batches of the given pairs, reshuffled in each epoch.

    A batch may span the end of an epoch: every pair occurs once per epoch, and no pair is dropped. Only indices pass
    through the Grain pipeline; the faces are gathered once per batch, in this process, without threads.

    Args:
        pairs: the prepared pairs, in memory.
        indices: int64[m], indices of the pairs to draw from, such as ``Fold.train``.
        batch_size: pairs per batch; may exceed m.
        seed: seed of the order and of the augmentation, 0 to 2**32 - 1; equal seeds give equal batches.
        mirror: whether each pair is mirrored left to right with probability 1/2, onset and apex together.
        shift: largest shift of a pair in whole pixels, drawn uniformly down and right, onset and apex together; pixels
            at the edge are repeated.
        brightness: a gray level drawn uniformly from -brightness * 255 to brightness * 255 is added to each pair, onset
            and apex together; gray levels are rounded and clipped to 0..255.
        resting: resting pairs per batch, at most b: the onsets of the batch's first pairs with their resting faces,
            disturbed (``resting.disturb``) and augmented as these pairs.

    Returns:
        An iterator over {"onset": uint8[b, h, w, 1], "apex": uint8[b, h, w, 1], "label": int32[b], "index": int32[b]}
        ("index" into ``pairs``) with ``get_state()`` and ``set_state(state)``; with resting pairs also "rest_onset" and
        "rest", uint8[resting, h, w, 1] each. Where the pairs have an input of a compared system, "input" uint8[b, ...]
        takes the place of the faces, mirrored alone if at all.

    Raises:
        UserError: there are no indices, or batch_size is below 1.
    """
    if not len(indices):
        raise UserError("no pairs to draw batches from; give a fold with training clips")
    if batch_size < 1:
        raise UserError(f"batch size {batch_size} is not a number of faces; give 1 or more")

    if pairs.input is not None:
        return _input_batches(pairs, pairs.input, indices, batch_size=batch_size, seed=seed, mirror=mirror)

    def draw(index: np.int64, rng: np.random.Generator) -> _Augmentation:
        # The order of these draws is part of the format: another order changes the batches of every seed.
        mirrored = mirror and bool(rng.integers(2))
        down, right = rng.integers(-shift, shift, 2, endpoint=True) if shift else (0, 0)
        levels = 255.0 * rng.uniform(-brightness, brightness) if brightness else 0.0
        seed_of_rest = int(rng.integers(2**32)) if resting else 0
        return int(index), mirrored, int(down), int(right), float(levels), seed_of_rest

    def gather(drawn: tuple[NDArray[Any], ...]) -> Batch:
        index, mirrored, down, right, levels, seeds = drawn

        def augment(faces: NDArray[np.uint8]) -> NDArray[np.uint8]:
            count = len(faces)
            faces[mirrored[:count]] = faces[mirrored[:count], :, ::-1]
            faces = _shift(faces, down[:count], right[:count]) if shift else faces
            faces = _brighten(faces, levels[:count]) if brightness else faces
            return faces[..., None]

        batch: Batch = {
            "onset": augment(pairs.onset[index]),
            "apex": augment(pairs.apex[index]),
            "label": pairs.label[index],
            "index": index.astype(np.int32),
        }
        if resting:
            chosen = zip(pairs.rest[index[:resting]], seeds, strict=False)
            batch["rest"] = augment(np.stack([disturb(face, np.random.default_rng(seed)) for face, seed in chosen]))
            batch["rest_onset"] = batch["onset"][:resting]
        return batch

    return iter(
        MapDataset.source(np.asarray(indices, np.int64))
        .seed(seed)
        .shuffle()
        .random_map(draw)
        .repeat()
        .batch(batch_size, drop_remainder=True)
        .map(gather)
        .to_iter_dataset(ReadOptions(num_threads=0, prefetch_buffer_size=0))
    )


def _input_batches(
    pairs: Pairs,
    pictures: NDArray[np.uint8],
    indices: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    mirror: bool,
) -> DatasetIterator[Batch]:
    """Return the batches of a compared system, see ``fold_batches``.

    Each element of the Grain pipeline is a whole batch: an update of a small network takes less time than 256 elements.
    """
    count = len(indices)

    def gather(number: int) -> Batch:
        positions = np.arange(number * batch_size, (number + 1) * batch_size)
        epochs, places = positions // count, positions % count
        orders = {epoch: np.random.default_rng([seed, epoch]).permutation(indices) for epoch in set(epochs.tolist())}
        index = np.array([orders[epoch][place] for epoch, place in zip(epochs.tolist(), places.tolist(), strict=True)])
        chosen = pictures[index]
        if mirror:
            mirrored = np.random.default_rng([seed, number, 1]).integers(2, size=batch_size).astype(bool)
            chosen[mirrored] = chosen[mirrored, :, ::-1]
        return {"input": chosen, "label": pairs.label[index], "index": index.astype(np.int32)}

    numbers = MapDataset.range(_MAX_BATCHES).map(gather)
    return iter(numbers.to_iter_dataset(ReadOptions(num_threads=0, prefetch_buffer_size=0)))


def _shift(faces: NDArray[np.uint8], down: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Shift each face of uint8[b, h, w] by whole pixels int64[b]; pixels at the edge are repeated."""
    height, width = faces.shape[1:]
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) - right[:, None], 0, width - 1)
    return faces[np.arange(len(faces))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _brighten(faces: NDArray[np.uint8], levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Add gray levels float64[b] to the faces uint8[b, h, w], rounded and clipped."""
    return np.clip(np.rint(faces + levels[:, None, None]), 0, 255).astype(np.uint8)
