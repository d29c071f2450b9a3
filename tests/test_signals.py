"""Signals that are acted upon at once, or after what is under way has been saved."""

import gc
import os
import signal
import threading
import time

import pytest

from icegan_jax.signals import Stopped, defer_signals, handle_signals


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code", "text"), [
    (signal.SIGTERM, 143, "stopped by SIGTERM"), (signal.SIGINT, 130, "interrupted"),
])  # fmt: skip
def test_at_once(number: int, code: int, text: str) -> None:
    with pytest.raises(Stopped) as caught, handle_signals():
        send(number)
        raise AssertionError("not reached")
    assert (caught.value.code, str(caught.value)) == (code, text)


def test_before_and_after_the_handlers_are_the_old_ones() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with handle_signals():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_put_off_until_the_caller_asks(capsys: pytest.CaptureFixture[str]) -> None:
    done = []
    with pytest.raises(Stopped, match=r"^stopped by SIGTERM after step 3$"), handle_signals(), defer_signals() as asked:
        assert asked() is None
        send(signal.SIGTERM)
        done.append(asked())
        raise Stopped(signal.SIGTERM, "after step 3")
    assert done == [signal.SIGTERM]
    assert "SIGTERM: saving first; once more stops at once" in capsys.readouterr().err


def test_the_second_does_not_wait() -> None:
    done = []
    with pytest.raises(Stopped), handle_signals(), defer_signals():
        send(signal.SIGINT)
        done.append(1)
        send(signal.SIGINT)
        done.append(2)
    assert done == [1]


def test_a_signal_that_came_too_late_to_be_asked_for_is_not_lost() -> None:
    with pytest.raises(Stopped), handle_signals(), defer_signals():
        send(signal.SIGTERM)


def test_an_error_is_not_hidden_by_a_signal() -> None:
    with pytest.raises(ValueError, match="broken"), handle_signals(), defer_signals():
        send(signal.SIGTERM)
        raise ValueError("broken")


def test_put_off_once_means_not_put_off_for_ever() -> None:
    with pytest.raises(Stopped), handle_signals():
        with defer_signals() as asked:
            assert asked() is None
        send(signal.SIGTERM)


def test_one_that_is_swallowed_comes_again() -> None:
    """What is raised in the garbage collector's callback, such as JAX has one, leads nowhere."""
    sent = []

    def callback(phase: str, info: object) -> None:
        if phase == "start" and not sent:
            sent.append(1)
            send(signal.SIGTERM)

    with pytest.raises(Stopped, match="SIGTERM"), handle_signals():
        gc.callbacks.append(callback)
        try:
            gc.collect()
            time.sleep(5)
        finally:
            gc.callbacks.remove(callback)
        raise AssertionError("the signal was lost")


def test_one_that_was_swallowed_stops_what_would_put_it_off() -> None:
    with pytest.raises(Stopped), handle_signals():
        with pytest.raises(Stopped):
            send(signal.SIGTERM)  # whoever holds it up
        with defer_signals():
            raise AssertionError("not reached")


def test_what_is_ignored_stays_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with handle_signals():
            send(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_in_another_thread_nothing_changes() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work() -> None:
        with handle_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
