from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageSequence

from icegan_jax.data.video import read_color_frames, read_video_info
from icegan_jax.inference.inputs import open_video
from icegan_jax.inference.media import COMPOSITE, SOFTWARE, ProvenanceMetadata, encode_sequence, encode_still
from icegan_jax.inference.visualize import annotate_video
from tests.inference import recordings
from tests.inference.read_metadata import comment_in, metadata_in
from tests.videos import write_test_video

Color = NDArray[np.uint8]

PROVENANCE = ProvenanceMetadata(
    COMPOSITE, "Synthetic: ünsicher & <sharp>, joy; run 1", {"run": "1", "draws": [0, 1], "name": 'a<b&"c\n'}
)
SOURCE = "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia"
METADATA = (SOURCE, PROVENANCE.description, PROVENANCE.record)
SEQUENCES = pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])


@pytest.fixture
def frames() -> list[Color]:
    """8 of uint8[41, 63, 3]: a color gradient with a square in the middle that grows brighter."""
    y, x = np.mgrid[0:41, 0:63]
    rest = np.stack([40 + 3 * x, 60 + 4 * y, 200 - x - y], axis=2).astype(np.uint8)
    sequence = [rest.copy() for _ in range(8)]
    for number, frame in enumerate(sequence):
        frame[12:28, 20:40] += np.uint8(6 * number)
    return sequence


@pytest.fixture
def write(tmp_path: Path) -> Callable[[bytes, str], Path]:
    def write(data: bytes, suffix: str) -> Path:
        path = tmp_path / f"file{suffix}"
        path.write_bytes(data)
        return path

    return write


def read_back(path: Path) -> list[Color]:
    """Return the frames of a sequence, each repeated for its duration."""
    if path.suffix == ".mp4":
        return list(read_color_frames(path))
    with Image.open(path) as image:
        shown = [(np.array(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
    return [frame for frame, duration in shown for _ in range(round(duration / 40))]


@SEQUENCES
def test_frames_and_metadata_of_a_sequence(
    frames: list[Color], write: Callable[[bytes, str], Path], suffix: str
) -> None:
    def one_at_a_time() -> Iterator[Color]:
        yield from frames

    path = write(encode_sequence(one_at_a_time(), suffix, 25.0, PROVENANCE, None, frames[-1]), suffix)
    sequence = read_back(path)
    assert len(sequence) == 8
    for frame, expected in zip(sequence, frames, strict=True):
        shown = cv2.GaussianBlur(frame[:41, :63], (0, 0), 2).astype(int)
        assert np.abs(shown - cv2.GaussianBlur(expected, (0, 0), 2)).mean() < 6
    if suffix == ".webp":
        assert metadata_in(path) == METADATA
    else:
        assert comment_in(path) == f"{PROVENANCE.description}; {SOURCE}"


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_pixels_and_metadata_of_a_still(frames: list[Color], write: Callable[[bytes, str], Path], suffix: str) -> None:
    path = write(encode_still(frames[3], suffix, PROVENANCE, None), suffix)
    with Image.open(path) as image:
        assert np.abs(np.asarray(image).astype(int) - frames[3]).max() <= (0 if suffix == ".png" else 12)
        assert "icc_profile" not in image.info
        software = image.info["Software"] if suffix == ".png" else image.getexif()[ExifTags.Base.Software]
    assert software == SOFTWARE and metadata_in(path) == METADATA


def test_resting_pixels_of_a_gif_do_not_flicker(frames: list[Color], write: Callable[[bytes, str], Path]) -> None:
    sequence = read_back(write(encode_sequence(frames, ".gif", 25.0, PROVENANCE, None, frames[-1]), ".gif"))
    for frame in sequence:
        frame[12:28, 20:40] = 0
    assert all(np.array_equal(frame, sequence[0]) for frame in sequence)


def test_gray_levels_are_kept_in_a_gif(write: Callable[[bytes, str], Path]) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    frames = [np.repeat(np.roll(levels, 5 * number, axis=1)[..., None], 3, axis=2) for number in range(5)]
    sequence = read_back(write(encode_sequence(frames, ".gif", 25.0, PROVENANCE, None, frames[-1]), ".gif"))
    assert all(np.array_equal(*pair) for pair in zip(sequence, frames, strict=True))


@pytest.mark.parametrize(("suffix", "fps"), [(".gif", 50.0), (".webp", 125.0), (".mp4", 12.5)])
def test_the_frame_rate(frames: list[Color], write: Callable[[bytes, str], Path], suffix: str, fps: float) -> None:
    path = write(encode_sequence(frames, suffix, fps, PROVENANCE, None, frames[-1]), suffix)
    if suffix == ".mp4":
        assert read_video_info(path).rate == fps
        return
    with Image.open(path) as image:
        assert image.info["loop"] == 0
        image.seek(1)
        image.load()
        assert image.info["duration"] == 1000 / fps


def test_the_color_profile_is_kept(frames: list[Color], write: Callable[[bytes, str], Path]) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = {suffix: encode_still(frames[0], suffix, PROVENANCE, profile) for suffix in (".png", ".jpg")}
    files[".webp"] = encode_sequence(frames, ".webp", 25.0, PROVENANCE, profile, frames[-1])
    for suffix, data in files.items():
        with Image.open(write(data, suffix)) as image:
            assert image.info["icc_profile"] == profile


@pytest.mark.parametrize("fps", [None, 200.0])
def test_an_annotated_copy_keeps_the_time_stamps_of_the_video(tmp_path: Path, fps: float | None) -> None:
    film = write_test_video(tmp_path / "film.avi", recordings.frames(), 60, [0, 1, 2, 5, 6, 7, 8])
    annotate_video(open_video(film, fps), tmp_path / "copy.mp4", [])
    original, copy = read_video_info(film), read_video_info(tmp_path / "copy.mp4")
    np.testing.assert_allclose(copy.timestamps, original.timestamps, atol=1e-4)
    assert (original.missing_frames, copy.missing_frames, copy.rate) == (2, 0, 60)  # the copy repeats null frames
