"""Batches of a fold (Grain): shuffled, endless, and resumable to the very batch."""

from typing import Any

import numpy as np
from grain import DatasetIterator, MapDataset, ReadOptions
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError

Batch = dict[str, NDArray[np.generic]]
_Drawn = tuple[int, bool, int, int, float]  # index, whether flipped, pixels down and across, grey levels lighter


def fold_batches(
    pairs: Pairs,
    indices: NDArray[np.int64],
    *,
    batch_size: int,
    seed: int,
    mirror: bool,
    shift: int = 0,
    brightness: float = 0.0,
) -> DatasetIterator[Batch]:
    """Returns an endless iterator over batches of the given pairs, reshuffled on each pass.

    A batch may span the end of a pass: every pair occurs once per pass, and none is dropped. Only
    indices travel through the pipeline; the faces are gathered once per batch, in this process,
    without threads.

    Args:
        pairs: the prepared pairs, in memory.
        indices: int64[m], the pairs to draw from, as ``Fold.train``.
        batch_size: pairs per batch; may exceed m.
        seed: of the order and of what is drawn for a pair, 0 to 2**32 - 1; the same seed gives the same
            batches.
        mirror: whether half of the pairs, drawn anew on each pass, are flipped left to right, onset
            and apex together.
        shift: each pair is moved by whole pixels, drawn evenly from -shift to shift down and across,
            onset and apex together; pixels at the edge are repeated.
        brightness: a grey level drawn evenly from -brightness * 255 to brightness * 255 is added to each
            pair, onset and apex together; grey levels are rounded and clipped to 0..255.

    Returns:
        An iterator over {"onset": uint8[b, h, w, 1], "apex": uint8[b, h, w, 1], "label": int32[b],
        "index": int32[b]} (index into ``pairs``) with ``get_state()`` and ``set_state(state)``.

    Raises:
        UserError: there are no indices, or batch_size is below 1.
    """
    if not len(indices):
        raise UserError("no pairs to draw batches from; give a fold with training clips")
    if batch_size < 1:
        raise UserError(f"batch size {batch_size} is not a number of faces; give 1 or more")

    def draw(index: np.int64, rng: np.random.Generator) -> _Drawn:
        flip = mirror and bool(rng.integers(2))
        down, across = rng.integers(-shift, shift, 2, endpoint=True) if shift else (0, 0)
        lighter = 255.0 * rng.uniform(-brightness, brightness) if brightness else 0.0
        return int(index), flip, int(down), int(across), float(lighter)

    def gather(drawn: tuple[NDArray[Any], ...]) -> Batch:
        index, flip, down, across, lighter = drawn

        def faces(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
            chosen = images[index]
            chosen[flip] = chosen[flip, :, ::-1]
            chosen = _moved(chosen, down, across) if shift else chosen
            chosen = _lighter(chosen, lighter) if brightness else chosen
            return chosen[..., None]

        return {
            "onset": faces(pairs.onset),
            "apex": faces(pairs.apex),
            "label": pairs.label[index],
            "index": index.astype(np.int32),
        }

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


def _moved(faces: NDArray[np.uint8], down: NDArray[np.int64], across: NDArray[np.int64]) -> NDArray[np.uint8]:
    """Faces uint8[b, h, w], each moved by its whole pixels int64[b]; pixels at the edge are repeated."""
    height, width = faces.shape[1:]
    rows = np.clip(np.arange(height) - down[:, None], 0, height - 1)
    columns = np.clip(np.arange(width) - across[:, None], 0, width - 1)
    return faces[np.arange(len(faces))[:, None, None], rows[:, :, None], columns[:, None, :]]


def _lighter(faces: NDArray[np.uint8], levels: NDArray[np.float64]) -> NDArray[np.uint8]:
    """Faces uint8[b, h, w], each lighter by its grey levels float64[b], rounded and clipped."""
    return np.clip(np.rint(faces + levels[:, None, None]), 0, 255).astype(np.uint8)
