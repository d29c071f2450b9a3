"""Where the folds that train side by side lie: every array has the leading axes [r, f], device and fold.

``folds``: each device has folds of its own. ``batch``: every device holds all of the folds, and its share of each
batch. Axis letters: r device, f fold on a device, g fold of the group, s step, b batch.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from icegan_jax.training.state import TrainState, is_key

PARALLEL = ("folds", "batch")  # what the devices share out


@dataclass(frozen=True)
class Layout:
    """The devices of a group of folds, and which fold lies where.

    Attributes:
      devices: of which each holds ``folds_per_device`` folds.
      folds_per_device: f.
      parallel: one of ``PARALLEL``.
    """

    devices: tuple[jax.Device, ...]
    folds_per_device: int
    parallel: str = "folds"

    @property
    def folds(self) -> int:
        """How many folds train side by side, g."""
        return self.folds_per_device * (1 if self.parallel == "batch" else len(self.devices))

    @property
    def leading(self) -> tuple[int, int]:
        """(r, f)."""
        return len(self.devices), self.folds_per_device

    def lay(self, values: Any) -> Any:
        """An array [g, ...] as [r, f, ...]: split among the devices, or once for each device."""
        if self.parallel == "batch":
            library = np if isinstance(values, np.ndarray) else jnp
            return library.broadcast_to(values[None], (*self.leading, *values.shape[1:]))
        return values.reshape(*self.leading, *values.shape[1:])

    def lay_batches(self, values: np.ndarray) -> np.ndarray:
        """Batches [g, s, b, ...] as [r, f, s, b, ...], or as [r, f, s, b / r, ...] where devices share each batch."""
        if self.parallel == "folds":
            return np.asarray(self.lay(values))
        folds, steps, size = values.shape[:3]
        shares = values.reshape(folds, steps, len(self.devices), size // len(self.devices), *values.shape[3:])
        return np.moveaxis(shares, 2, 0)

    def gather(self, values: Any) -> Any:
        """The opposite of ``lay``: an array [r, f, ...] as [g, ...]."""
        return values[0] if self.parallel == "batch" else values.reshape(self.folds, *values.shape[2:])

    def put(self, tree: Any) -> Any:
        """Copies arrays [r, f, ...] of the host to their devices; returns at once."""
        mesh = jax.sharding.Mesh(np.array(self.devices), ("device",))
        return jax.device_put(tree, jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec("device")))

    def join(self, states: Sequence[TrainState]) -> TrainState:
        """The states of g folds, of arrays on the host, as one on the devices, [r, f, ...]."""

        def together(*leaves: Any) -> jax.Array:
            return self.put(self.lay(jnp.stack(leaves) if is_key(leaves[0]) else np.stack(leaves)))

        return jax.tree.map(together, *states)

    def part(self, states: TrainState, fold: int) -> TrainState:
        """The state of one fold of the group out of arrays [r, f, ...], copied on its device."""
        device, place = (0, fold) if self.parallel == "batch" else divmod(fold, self.folds_per_device)

        def on_device(leaf: jax.Array) -> jax.Array:
            (shard,) = (shard for shard in leaf.addressable_shards if (shard.index[0].start or 0) == device)
            return shard.data

        return _pick(jax.tree.map(on_device, states), place)


@jax.jit
def _pick(tree: Any, place: int | jax.Array) -> Any:
    """Entry [0, place] of every array: a program of its own, so that no other fold is copied."""
    return jax.tree.map(lambda leaf: jax.lax.dynamic_index_in_dim(leaf[0], place, keepdims=False), tree)
