"""Work spread over processes that do not outlive the one that started them."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import cv2

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def run_parallel(work: Callable[[_Task], _Result], tasks: Sequence[_Task], workers: int) -> Iterator[_Result]:
    """Yields ``work(task)`` of each task, in their order.

    Args:
        work: a function of a module; what it returns does not depend on ``workers``, as OpenCV runs
            on one thread either way.
        tasks: its arguments.
        workers: processes; 1: this one.

    Raises:
        BrokenProcessPool: a process was ended from outside, as for want of memory.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        for task in tasks:
            with _one_thread():
                result = work(task)
            yield result
        return
    # spawn: forking a process that runs JAX's or OpenCV's threads may hang.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_begin)
    try:
        with _without_interrupts():  # the processes are started here, and begin as deaf as this one is
            results = pool.map(work, tasks)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


@contextmanager
def _one_thread() -> Iterator[None]:
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(before)


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Ctrl-C waits: one in the midst of a process's imports would print a traceback."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _begin() -> None:
    """Prepares a process: Ctrl-C ends it without a traceback, and so does its parent's end."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    """A killed parent cannot end its processes: they would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
