"""How long facial expressions last, in seconds and in frames."""

import math

from icegan_jax.errors import UserError

# A micro-expression lasts at most half a second, and its onset phase 0.26 s (Yan, Wu, Liang, Chen and Fu, "How fast
# are the leaked facial expressions", Journal of Nonverbal Behavior 37, 2013). Half of it is the distance from the apex
# to the frames with which it is compared: the k of the feature-difference analysis (Moilanen, Zhao and Pietikainen,
# "Spotting rapid facial movements from videos using appearance-based feature difference analysis", ICPR 2014).
MICRO_SECONDS = 0.5
# Ordinary expressions last from half a second to four (Ekman, "Darwin, deception, and facial expression", 2003); this
# window sees those of up to two whole, and of longer ones the beginning and the end.
MACRO_SECONDS = 2.0


def half_windows(fps: float) -> tuple[int, int]:
    """Returns how many frames lie in half a micro and half a macro window, both at least 1.

    Raises:
        UserError: ``fps`` is no positive finite number.
    """
    if not (math.isfinite(fps) and fps > 0):
        raise UserError(f"the frame rate is {fps} per second; give a positive number")
    micro = max(1, round(MICRO_SECONDS / 2 * fps))
    return micro, max(micro, round(MACRO_SECONDS / 2 * fps))
