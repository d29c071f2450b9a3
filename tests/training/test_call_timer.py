"""Seconds of a call, and how many of them the devices had no data."""

import time

import jax
import jax.numpy as jnp
import pytest

from icegan_jax.training.prefetch import CallTimer


def test_waiting_is_what_lies_between_the_end_of_a_call_and_the_next_data() -> None:
    with CallTimer() as timer:
        begin = timer._idle_since
        # The data were there before the devices were free.
        assert timer.measure(ready=begin - 1.0, end=begin + 2.0) == pytest.approx((2.0, 0.0))
        # They came half a second after the devices were free, in a call that ended two seconds after that.
        assert timer.measure(ready=begin + 2.5, end=begin + 4.5) == pytest.approx((2.5, 0.5))
        # During the call before.
        assert timer.measure(ready=begin + 4.0, end=begin + 5.0) == pytest.approx((0.5, 0.0))


def test_an_end_is_noted_when_the_outcome_is_there() -> None:
    with CallTimer() as timer:
        outcome = jax.jit(lambda x: x @ x)(jnp.ones((300, 300)))
        end = timer.watch({"outcome": outcome})
        jax.block_until_ready(outcome)
        assert timer._idle_since <= end.result() <= time.perf_counter()
