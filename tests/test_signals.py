"""Signals that raise Stopped at once, or after the work has been saved."""

import os
import signal
import threading

import pytest

from icegan_jax.signals import Stopped, delay_signals, handle_signals, requested_signal


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(("number", "code", "text"), [
    (signal.SIGTERM, 143, "stopped by SIGTERM"), (signal.SIGINT, 130, "interrupted"),
])  # fmt: skip
def test_a_signal_raises_immediately(number: int, code: int, text: str) -> None:
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as caught, handle_signals():
        send(number)
        raise AssertionError("not reached")
    assert (caught.value.code, str(caught.value)) == (code, text)
    assert signal.getsignal(number) == before


def test_a_delayed_signal_sets_the_flag(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(Stopped, match=r"^stopped by SIGTERM$"), handle_signals(), delay_signals():
        assert requested_signal() is None
        send(signal.SIGTERM)
        assert requested_signal() == signal.SIGTERM
    assert requested_signal() is None
    assert "SIGTERM: saving first; once more stops at once" in capsys.readouterr().err


def test_a_second_signal_raises_immediately() -> None:
    with pytest.raises(Stopped), handle_signals(), delay_signals():
        send(signal.SIGINT)
        send(signal.SIGINT)
        raise AssertionError("not reached")


def test_an_error_is_not_hidden_by_a_signal() -> None:
    with pytest.raises(ValueError, match="broken"), handle_signals(), delay_signals():
        send(signal.SIGTERM)
        raise ValueError("broken")


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
