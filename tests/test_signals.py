"""Signals that raise Stopped at once, or after the work has been saved."""

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
def test_a_signal_raises_immediately(number: int, code: int, text: str) -> None:
    with pytest.raises(Stopped) as caught, handle_signals():
        send(number)
        raise AssertionError("not reached")
    assert (caught.value.code, str(caught.value)) == (code, text)


def test_the_original_handlers_are_restored() -> None:
    before = [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)]
    with handle_signals():
        assert signal.getsignal(signal.SIGTERM) not in before
    assert [signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)] == before


def test_a_deferred_signal_is_noted(capsys: pytest.CaptureFixture[str]) -> None:
    done = []
    with pytest.raises(Stopped, match=r"^stopped by SIGTERM after step 3$"), handle_signals(), defer_signals() as asked:
        assert asked() is None
        send(signal.SIGTERM)
        done.append(asked())
        raise Stopped(signal.SIGTERM, "after step 3")
    assert done == [signal.SIGTERM]
    assert "SIGTERM: saving first; once more stops at once" in capsys.readouterr().err


def test_a_second_signal_raises_immediately() -> None:
    done = []
    with pytest.raises(Stopped), handle_signals(), defer_signals():
        send(signal.SIGINT)
        done.append(1)
        send(signal.SIGINT)
        done.append(2)
    assert done == [1]


def test_a_signal_that_the_caller_did_not_check_raises_at_the_end() -> None:
    with pytest.raises(Stopped), handle_signals(), defer_signals():
        send(signal.SIGTERM)


def test_an_error_is_not_hidden_by_a_signal() -> None:
    with pytest.raises(ValueError, match="broken"), handle_signals(), defer_signals():
        send(signal.SIGTERM)
        raise ValueError("broken")


def test_signals_are_deferred_only_in_the_block() -> None:
    with pytest.raises(Stopped), handle_signals():
        with defer_signals() as asked:
            assert asked() is None
        send(signal.SIGTERM)


def test_a_signal_whose_exception_was_dropped_is_sent_again() -> None:
    """Python drops an exception in a callback of the garbage collector, such as JAX has one."""
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


def test_a_signal_whose_exception_was_dropped_raises_before_it_is_deferred() -> None:
    with pytest.raises(Stopped), handle_signals():
        with pytest.raises(Stopped):
            send(signal.SIGTERM)  # also from code that defers it
        with defer_signals():
            raise AssertionError("not reached")


def test_an_ignored_signal_remains_ignored() -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with handle_signals():
            send(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_another_thread_changes_no_handler() -> None:
    before = signal.getsignal(signal.SIGTERM)
    seen = []

    def work() -> None:
        with handle_signals():
            seen.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert seen == [before]
