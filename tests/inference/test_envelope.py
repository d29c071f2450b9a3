import numpy as np
import pytest

from icegan_jax.inference.synthesize import apex_frame, envelope


@pytest.mark.parametrize(("frames", "apex_at"), [(3, 0.5), (25, 0.5), (25, 0.2), (10, 0.01), (10, 0.99), (1000, 0.7)])
def test_it_rises_from_the_onset_to_the_apex_and_falls_to_the_offset(frames: int, apex_at: float) -> None:
    shares, apex = envelope(frames, apex_at), apex_frame(frames, apex_at)
    assert shares.shape == (frames,)
    assert shares[0] == shares[-1] == 0 and shares[apex] == 1
    assert (np.diff(shares[: apex + 1]) > 0).all() and (np.diff(shares[apex:]) < 0).all()


def test_the_apex_lies_where_it_is_asked_for() -> None:
    assert [apex_frame(25, at) for at in (0.5, 0.25, 0.999)] == [12, 6, 23]


def test_nothing_jerks() -> None:
    """The first and last steps are small, and those at the apex too."""
    steps = np.abs(np.diff(envelope(41, 0.5)))
    assert max(steps[0], steps[19], steps[20], steps[-1]) < 0.1 * steps.max()
    assert steps.max() < 0.08
