from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageCms, ImageSequence

from icegan_jax.errors import UserError
from icegan_jax.inference import media
from icegan_jax.inference.media import COMPOSITE, SOFTWARE, SYNTHETIC, ProvenanceMetadata, encode_sequence, encode_still
from tests.inference.read_metadata import metadata_in

Color = NDArray[np.uint8]

PROVENANCE = ProvenanceMetadata(
    COMPOSITE, "Synthetic: ünsicher & <sharp>, joy; run 1", {"run": "1", "draws": [0, 1], "name": 'a<b&"c\n'}
)
SEQUENCES = pytest.mark.parametrize("suffix", [".gif", ".webp", ".mp4"])
STILLS = pytest.mark.parametrize("suffix", [".png", ".jpg", ".jpeg"])


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
        video, sequence = cv2.VideoCapture(str(path)), []
        while (read := video.read())[0]:
            sequence.append(np.asarray(read[1][..., ::-1], np.uint8))
        return sequence
    with Image.open(path) as image:
        shown = [(np.array(frame.convert("RGB")), frame.info["duration"]) for frame in ImageSequence.Iterator(image)]
    return [frame for frame, duration in shown for _ in range(round(duration / 40))]


@SEQUENCES
def test_frames_and_metadata_of_a_sequence(
    frames: list[Color], write: Callable[[bytes, str], Path], suffix: str
) -> None:
    def one_at_a_time() -> Iterator[Color]:
        yield from frames

    path = write(encode_sequence(one_at_a_time(), suffix, 25.0, PROVENANCE, None, [frames[0], frames[-1]]), suffix)
    sequence = read_back(path)
    assert len(sequence) == 8
    for frame, expected in zip(sequence, frames, strict=True):
        shown = cv2.GaussianBlur(frame[:41, :63], (0, 0), 2).astype(int)
        assert np.abs(shown - cv2.GaussianBlur(expected, (0, 0), 2)).mean() < 6
    assert metadata_in(path) == (
        "http://cv.iptc.org/newscodes/digitalsourcetype/compositeWithTrainedAlgorithmicMedia",
        PROVENANCE.description,
        PROVENANCE.record,
    )


@STILLS
def test_pixels_and_metadata_of_a_still(frames: list[Color], write: Callable[[bytes, str], Path], suffix: str) -> None:
    path = write(
        encode_still(frames[3], suffix, ProvenanceMetadata(SYNTHETIC, PROVENANCE.description, PROVENANCE.record), None),
        suffix,
    )
    with Image.open(path) as image:
        assert np.abs(np.asarray(image).astype(int) - frames[3]).max() <= (0 if suffix == ".png" else 12)
        assert "icc_profile" not in image.info
        if suffix == ".png":
            assert (image.info["Software"], image.info["Description"]) == (SOFTWARE, PROVENANCE.description)
        else:
            assert image.getexif()[ExifTags.Base.Software] == SOFTWARE
            assert image.info["comment"].decode() == PROVENANCE.description
    source, description, record = metadata_in(path)
    assert source == "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
    assert (description, record) == (PROVENANCE.description, PROVENANCE.record)


def test_a_gif_has_a_comment_and_loops(frames: list[Color], write: Callable[[bytes, str], Path]) -> None:
    with Image.open(write(encode_sequence(frames, ".gif", 25.0, PROVENANCE, None, frames[:1]), ".gif")) as image:
        assert image.info["comment"].decode() == PROVENANCE.description
        assert image.info["loop"] == 0


def test_resting_pixels_of_a_gif_do_not_flicker(frames: list[Color], write: Callable[[bytes, str], Path]) -> None:
    sequence = read_back(
        write(encode_sequence(frames, ".gif", 25.0, PROVENANCE, None, [frames[0], frames[-1]]), ".gif")
    )
    for frame in sequence:
        frame[12:28, 20:40] = 0
    assert all(np.array_equal(frame, sequence[0]) for frame in sequence)


def test_gray_levels_are_kept_in_a_gif(write: Callable[[bytes, str], Path]) -> None:
    levels = np.arange(256, dtype=np.uint8).reshape(8, 32)
    frames = [np.repeat(np.roll(levels, 5 * number, axis=1)[..., None], 3, axis=2) for number in range(5)]
    sequence = read_back(write(encode_sequence(frames, ".gif", 25.0, PROVENANCE, None, frames[:2]), ".gif"))
    assert all(np.array_equal(*pair) for pair in zip(sequence, frames, strict=True))


@pytest.mark.parametrize(("suffix", "fps", "milliseconds"), [(".gif", 50.0, 20), (".webp", 125.0, 8)])
def test_the_frame_rate(
    frames: list[Color], write: Callable[[bytes, str], Path], suffix: str, fps: float, milliseconds: int
) -> None:
    with Image.open(write(encode_sequence(frames, suffix, fps, PROVENANCE, None, frames[:1]), suffix)) as image:
        image.seek(1)
        image.load()
        assert image.info["duration"] == milliseconds


def test_frame_rate_and_size_of_an_mp4(frames: list[Color], write: Callable[[bytes, str], Path]) -> None:
    video = cv2.VideoCapture(str(write(encode_sequence(frames, ".mp4", 12.5, PROVENANCE, None, frames[:1]), ".mp4")))
    assert video.get(cv2.CAP_PROP_FPS) == 12.5
    size = [video.get(side) for side in (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT)]
    assert size == [64, 42]  # of 63x41


def test_the_color_profile_is_kept(frames: list[Color], write: Callable[[bytes, str], Path]) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    files = [write(encode_still(frames[0], suffix, PROVENANCE, profile), suffix) for suffix in (".png", ".jpg")] + [
        write(encode_sequence(frames, ".webp", 25.0, PROVENANCE, profile, frames[:1]), ".webp")
    ]
    for path in files:
        with Image.open(path) as image:
            assert image.info["icc_profile"] == profile
        assert metadata_in(path)[1] == PROVENANCE.description


def test_an_mp4_that_opencv_cannot_write_is_refused(frames: list[Color], monkeypatch: pytest.MonkeyPatch) -> None:
    """OpenCV's writer does not report a full disk."""
    monkeypatch.setattr(media, "count_video_frames", lambda path: 3)
    with pytest.raises(UserError, match=r"OpenCV could not write an \.mp4 of 64x42 pixels in .*; free space there"):
        encode_sequence(frames, ".mp4", 25.0, PROVENANCE, None, frames[:1])
