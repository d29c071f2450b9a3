import cv2
import pytest

from icegan_jax.data.ingest.parallel import run_parallel


def _threads(number: int) -> tuple[int, int]:
    if number == 9:
        raise OSError(28, "No space left on device", "file")
    return number, cv2.getNumThreads()


@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_come_in_order_from_one_thread_each_and_errors_unchanged(workers: int) -> None:
    before = cv2.getNumThreads()
    results = run_parallel(_threads, [3, 1, 2, 9], workers)
    assert [next(results) for _ in range(3)] == [(3, 1), (1, 1), (2, 1)]
    with pytest.raises(OSError, match="No space left") as caught:
        next(results)
    assert (caught.value.errno, caught.value.filename) == (28, "file")
    assert cv2.getNumThreads() == before
    assert list(run_parallel(_threads, [], workers)) == []
