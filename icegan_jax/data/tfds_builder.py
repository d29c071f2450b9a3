"""The TFDS builder of the prepared pairs, which needs no TensorFlow."""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import numpy as np
import tensorflow_datasets as tfds

from icegan_jax.data import dataset


class IceganPairs(tfds.core.GeneratorBasedBuilder):
    """The TFDS builder of a sequence of records. TFDS derives the dataset's name from the name of this class."""

    VERSION = tfds.core.Version(dataset.VERSION)

    def __init__(
        self, *, records: Iterable[dataset.Record], shape: tuple[int, int], classes: Sequence[str], **kwargs: Any
    ) -> None:
        """Store the records to write, the shape (h, w) of their faces, and the names of the classes."""
        self._records = records
        self._classes = list(classes)
        self._shape = (*shape, 1)
        super().__init__(**kwargs)

    def _info(self) -> tfds.core.DatasetInfo:
        features = tfds.features
        face = features.Tensor(shape=self._shape, dtype=np.uint8)  # the feature Image needs TensorFlow
        return tfds.core.DatasetInfo(
            builder=self,
            description="Onset, apex and resting faces of micro-expression clips, registered and cropped.",
            features=features.FeaturesDict(
                {
                    "dataset": features.Text(),
                    "subject": features.Text(),
                    "clip": features.Text(),
                    "label": features.ClassLabel(names=self._classes),
                    "shift": features.Scalar(dtype=np.int32),
                    "onset": face,
                    "apex": face,
                    "rest": face,
                }
            ),
            disable_shuffling=True,
        )

    def _split_generators(self, dl_manager: Any) -> dict[str, Iterator[tuple[int, dict[str, Any]]]]:
        return {dataset.SPLIT: self._generate_examples()}

    def _generate_examples(self) -> Iterator[tuple[int, dict[str, Any]]]:
        for number, r in enumerate(self._records):
            yield (
                number,
                {
                    "dataset": r.dataset,
                    "subject": r.subject,
                    "clip": r.clip,
                    "label": r.label,
                    "shift": r.shift,
                    "onset": r.onset[..., None],
                    "apex": r.apex[..., None],
                    "rest": r.rest[..., None],
                },
            )
