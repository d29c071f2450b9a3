"""Parallel work in processes that end with the process that started them."""

import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from typing import TypeVar

import cv2

_Task = TypeVar("_Task")
_Result = TypeVar("_Result")


def run_parallel(work: Callable[[_Task], _Result], tasks: Sequence[_Task], workers: int) -> Iterator[_Result]:
    """Yield ``work(task)`` of each task, in the order of the tasks.

    Args:
        work: a function of a module. Its result does not depend on ``workers``, as OpenCV runs on one thread always.
        tasks: the arguments of ``work``.
        workers: number of processes; with 1 the work is done in this process.

    Raises:
        BrokenProcessPool: a process was killed from outside, for example because memory ran out.
    """
    workers = min(workers, len(tasks))
    if workers <= 1:
        threads = cv2.getNumThreads()
        cv2.setNumThreads(1)
        try:
            yield from map(work, tasks)
        finally:
            cv2.setNumThreads(threads)
        return
    # spawn: forking a process that runs JAX's or OpenCV's threads may hang.
    pool = ProcessPoolExecutor(workers, multiprocessing.get_context("spawn"), initializer=_initialize_worker)
    try:
        # The processes start here and inherit a blocked Ctrl-C, which would print a traceback during their imports.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            results = pool.map(work, tasks)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        yield from results
    finally:
        pool.shutdown(cancel_futures=True)


def _initialize_worker() -> None:
    """Set up a process so that Ctrl-C and the end of its parent both end the process without a traceback."""
    cv2.setNumThreads(1)
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT})
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    """Exit when the parent ends: a killed parent cannot end its processes, which would wait for work for ever."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    multiprocessing.connection.wait([parent.sentinel])
    os._exit(1)
