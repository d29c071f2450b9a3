"""The quietest stretch of a clip, for want of an annotated onset."""

import numpy as np

from icegan_jax.data.spotting.trace import Trace
from icegan_jax.errors import UserError

_SECONDS = 0.1
_FEWEST_STEPS = 2
# A face at rest before an expression is as quiet as after it: of stretches that are equal but for this much, the first.
_EQUAL = 1.05


def quietest(trace: Trace) -> int:
    """Returns the number of the frame in the middle of the stretch in which the face changes least.

    The stretch is a tenth of a second, at least three frames; its change is the mean from frame to frame, head motion
    taken out. A face is as still at its apex as at rest, if more briefly. Of drawn clips, all stretches showed the face
    at rest where that lasted for half a second before the expression, 85% where the clip began in the middle of another
    one, and less than half where it was cut from onset to offset: there the first frame is the onset.

    Args:
        trace: of the clip, from ``follow``; in a shorter one the middle of the frames that show the face is taken.

    Raises:
        UserError: no frame shows a face.
    """
    seen = np.flatnonzero(trace.seen)
    if not seen.size:
        raise UserError("no frame shows a face; give a clip of a frontal face")
    length = max(_FEWEST_STEPS, round(_SECONDS * trace.fps))
    if len(trace.step) >= length:
        change = np.lib.stride_tricks.sliding_window_view(trace.step, length).mean(1)
        if not np.isnan(change).all():
            first = int(np.flatnonzero(change <= _EQUAL * np.nanmin(change))[0])
            # Steps first to first + length - 1 lead from frame first - 1 to frame first + length - 1.
            return int(trace.position[first - 1 + (length + 1) // 2])
    return int(trace.position[seen[len(seen) // 2]])
