"""Batches of a fold (Grain): shuffled, endless, and resumable to the very batch."""

import numpy as np
from grain import DatasetIterator, MapDataset, ReadOptions
from numpy.typing import NDArray

from icegan_jax.data.dataset import Pairs
from icegan_jax.errors import UserError

Batch = dict[str, NDArray[np.generic]]


def fold_batches(
    pairs: Pairs, indices: NDArray[np.int64], *, batch_size: int, seed: int, mirror: bool
) -> DatasetIterator[Batch]:
    """Returns an endless iterator over batches of the given pairs, reshuffled on each pass.

    A batch may span the end of a pass: every pair occurs once per pass, and none is dropped. Only
    indices travel through the pipeline; the faces are gathered once per batch, in this process,
    without threads.

    Args:
        pairs: the prepared pairs, in memory.
        indices: int64[m], the pairs to draw from, as ``Fold.train``.
        batch_size: pairs per batch; may exceed m.
        seed: of the order and the mirroring, 0 to 2**32 - 1; the same seed gives the same batches.
        mirror: whether half of the pairs, drawn anew on each pass, are flipped left to right, onset
            and apex together.

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

    def draw(index: np.int64, rng: np.random.Generator) -> tuple[int, bool]:
        return int(index), mirror and bool(rng.integers(2))

    def gather(drawn: tuple[NDArray[np.int64], NDArray[np.bool_]]) -> Batch:
        index, flip = drawn

        def faces(images: NDArray[np.uint8]) -> NDArray[np.uint8]:
            chosen = images[index]
            chosen[flip] = chosen[flip, :, ::-1]
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
