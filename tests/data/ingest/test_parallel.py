import cv2
import pytest

from icegan_jax.data.ingest.parallel import run_parallel


def _threads(number: int) -> tuple[int, int]:
    return number, cv2.getNumThreads()


def _fail(number: int) -> int:
    if number == 2:
        raise OSError(28, "No space left on device", "file")
    return number


@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_order_from_one_thread_each(workers: int) -> None:
    before = cv2.getNumThreads()
    assert list(run_parallel(_threads, [3, 1, 2], workers)) == [(3, 1), (1, 1), (2, 1)]
    assert cv2.getNumThreads() == before
    assert list(run_parallel(_threads, [], workers)) == []


@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_of_a_worker_is_raised_unchanged(workers: int) -> None:
    results = run_parallel(_fail, [1, 2, 3], workers)
    assert next(results) == 1
    with pytest.raises(OSError, match="No space left") as caught:
        next(results)
    assert (caught.value.errno, caught.value.filename) == (28, "file")
