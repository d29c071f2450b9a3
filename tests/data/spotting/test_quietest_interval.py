import numpy as np
import pytest

from icegan_jax.data.spotting import Trace, quietest_interval, trace_video
from icegan_jax.errors import UserError
from tests.data.spotting.videos import FPS, Gray, nod, rise_and_fall, video


def steps(values: list[float], fps: float = 30.0, seen: bool = True) -> Trace:
    step = np.array(values, np.float32)
    empty = np.full(len(step), np.nan, np.float32)
    seen_ = np.full(len(step), seen)
    return Trace(fps, np.arange(len(step)) + 100, empty, empty, empty, step, empty, empty, seen_)


def test_the_middle_of_the_stretch_with_the_least_change() -> None:
    # Three steps, a tenth of a second: 104 to 107 are the same picture; step i leads from frame i - 1 to i.
    assert quietest_interval(steps([np.nan, 5, 4, 5, 3, 0, 0, 0, 4, 5])) == 106
    assert quietest_interval(steps([np.nan, 5, 0, 5, 0, 1, 1, 1, 0, 5], fps=20)) == 104  # two steps
    assert quietest_interval(steps([np.nan, 2, 2, 2, 9, 1.96, 1.96, 1.96])) == 102  # as good as equal: the first


def test_a_frame_that_lasts_is_not_quiet() -> None:
    trace = steps([np.nan, 5, 5, 0, 0, 0, 5, 2, 2, 2, 5])
    assert quietest_interval(trace) == 104
    trace.position[:] = [0, 1, 2, 2, 2, 2, 3, 4, 5, 6, 7]
    assert quietest_interval(trace) == 5


def test_clips_of_a_frame_or_two() -> None:
    assert quietest_interval(steps([np.nan])) == 100
    assert quietest_interval(steps([np.nan, 1.0])) == 101


def test_no_face_is_refused() -> None:
    with pytest.raises(UserError, match="^no frame shows a face; give a clip of a frontal face$"):
        quietest_interval(steps([np.nan] * 5, seen=False))


def test_the_rest_before_a_smile_on_a_moving_head(face_image: Gray) -> None:
    """The clip begins in the middle of one smile and ends in that of another."""
    first, second = rise_and_fall(-8, 10, 1.0), rise_and_fall(22, 40, 1.0)
    frames = video(face_image, 31, smile=lambda i: first(i) + second(i), shift=nod)
    assert 9 <= quietest_interval(Trace.from_rows(trace_video(frames, FPS), FPS)) <= 23
