import io
import zipfile
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageCms

from icegan_jax.data.images import color_profile, read_color, to_gray
from icegan_jax.data.video import read_frame, read_video_info
from icegan_jax.errors import UserError


def archive_of(member: str) -> bytes:
    with zipfile.ZipFile(content := io.BytesIO(), "w") as archive:
        archive.writestr(member, "")
    return content.getvalue()


@pytest.fixture
def colors() -> NDArray[np.uint8]:
    """uint8[24, 32, 3]: smooth, so that JPEG and WebP keep it nearly."""
    y, x = np.mgrid[0:24, 0:32]
    return np.stack([40 + 5 * x, 60 + 6 * y, 200 - 3 * x - 2 * y], axis=2).astype(np.uint8)


@pytest.mark.parametrize(
    ("suffix", "most"), [(".png", 0), (".bmp", 0), (".jpg", 6), (".webp", 14), (".gif", 12), (".jpeg", 6)]
)
def test_every_kind_of_file_gives_its_colours(
    tmp_path: Path, colors: NDArray[np.uint8], suffix: str, most: int
) -> None:
    path = tmp_path / f"face{suffix}"
    image = Image.fromarray(colors)
    options = {"subsampling": 0, "quality": 95} if suffix.startswith(".j") else {}
    image.save(path, **options)
    actual = read_color(path)
    assert actual.dtype == np.uint8 and actual.shape == (24, 32, 3)
    assert np.abs(actual.astype(int) - colors).max() <= most
    assert (to_gray(actual) == read_frame(path)).all()


def test_an_animation_gives_its_first_picture(tmp_path: Path) -> None:
    pictures = [Image.new("RGB", (24, 24), color) for color in ("red", "blue")]
    pictures[0].save(tmp_path / "clip.gif", save_all=True, append_images=pictures[1:])
    assert (read_color(tmp_path / "clip.gif") == (255, 0, 0)).all()


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    half = np.full((24, 24, 4), (200, 100, 0, 255), np.uint8)
    half[:, :12, 3] = 0
    half[12:, 12:, 3] = 51  # a fifth
    Image.fromarray(half).save(tmp_path / "rgba.png")
    actual = read_color(tmp_path / "rgba.png")
    assert (actual[:, :12] == 255).all()
    assert (actual[:12, 12:] == (200, 100, 0)).all()
    assert np.abs(actual[20, 20].astype(int) - (244, 224, 204)).max() <= 1
    assert (read_frame(tmp_path / "rgba.png") == to_gray(actual)).all()
    gray = np.dstack([np.full((24, 24), 90, np.uint8), half[..., 3]])
    Image.fromarray(gray, "LA").save(tmp_path / "la.png")
    assert read_color(tmp_path / "la.png")[[0, 0], [0, 20]].tolist() == [[255] * 3, [90] * 3]


def test_a_palette_with_a_transparent_colour(tmp_path: Path) -> None:
    image = Image.new("P", (24, 24), 0)
    image.putpalette([10, 20, 30, 200, 100, 50])
    image.paste(1, (12, 0, 24, 24))
    image.save(tmp_path / "palette.png", transparency=0)
    actual = read_color(tmp_path / "palette.png")
    assert (actual[:, :12] == 255).all() and (actual[:, 12:] == (200, 100, 50)).all()


def test_gray_and_cmyk_become_rgb(tmp_path: Path) -> None:
    Image.new("L", (24, 24), 77).save(tmp_path / "gray.png")
    assert (read_color(tmp_path / "gray.png") == 77).all()
    Image.new("1", (24, 24), 1).save(tmp_path / "bits.png")
    assert (read_color(tmp_path / "bits.png") == 255).all()
    Image.new("CMYK", (24, 24), (0, 255, 255, 0)).save(tmp_path / "print.jpg", quality=100)
    assert np.abs(read_color(tmp_path / "print.jpg").astype(int) - (255, 0, 0)).max() <= 2


def test_sixteen_bits_are_scaled_to_eight(tmp_path: Path) -> None:
    deep = np.linspace(0, 65535, 24 * 30).astype(np.uint16).reshape(24, 30)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    actual = read_color(tmp_path / "deep.png")
    assert (actual == (deep >> 8)[..., None]).all()
    assert (read_frame(tmp_path / "deep.png") == deep >> 8).all()


@pytest.mark.parametrize("bits", [8, 10, 12, 14])
def test_the_bits_of_a_camera_at_the_low_end_of_sixteen(tmp_path: Path, colors: NDArray[np.uint8], bits: int) -> None:
    path = tmp_path / "camera.png"
    cv2.imwrite(str(path), colors[..., 0].astype(np.uint16) << (bits - 8))
    assert (read_color(path)[..., 0] == colors[..., 0]).all()
    assert (read_frame(path) == colors[..., 0]).all()
    cv2.imwrite(str(path), colors.astype(np.uint16) << (bits - 8))
    with pytest.raises(UserError, match=r"camera\.png: uses few of its 16 bits per color; save it with 8 bits"):
        read_frame(path)
    cv2.imwrite(str(path), colors[..., ::-1].astype(np.uint16) << 8)
    assert (read_color(path) == colors).all()


def test_the_exif_orientation_is_applied(tmp_path: Path, colors: NDArray[np.uint8]) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees, clockwise
    Image.fromarray(np.rot90(colors).copy()).save(tmp_path / "turned.png", exif=exif)
    assert (read_color(tmp_path / "turned.png") == colors).all()


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is empty (0 bytes); restore the file or give another picture"),
        (b"no picture", "not a readable image (no jpg, png or bmp); restore the file or give another picture"),
    ],
)
def test_a_file_that_is_no_image_raises(tmp_path: Path, content: bytes, words: str) -> None:
    (tmp_path / "face.jpg").write_bytes(content)
    with pytest.raises(UserError) as refusal:
        read_color(tmp_path / "face.jpg")
    assert str(refusal.value) == f"{tmp_path}/face.jpg: {words}"


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"\0\0\0\x18ftypheic\0\0\0\0", "is a HEIC picture, which is not read; export it as JPEG"),
        (b"\0\0\0\x18ftypavif\0\0\0\0", "is an AVIF picture, which is not read; export it as JPEG"),
        (b"II*\0\x08\0\0\0\0\0\0\0", "is a TIFF or raw picture, which is not read; export it as PNG"),
        (b"PK\3\4" + bytes(30), "is a zip archive; unpack it"),
        (archive_of("img1.png"), "is a zip archive; unpack it"),
        (archive_of("[Content_Types].xml"), "is a workbook or another document, no picture and no video; give a table"),
    ],
)
def test_a_file_of_another_kind_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    """A picture by the name of the file, and a video by the name of the file."""
    for name, read in (("face.jpg", read_color), ("face.mp4", read_video_info)):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError) as refusal:
            read(tmp_path / name)
        assert str(refusal.value).startswith(f"{tmp_path}/{name}: {words}")


def test_a_picture_of_too_many_pixels_raises(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (2000, 2000)).save(tmp_path / "huge.png")
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1_500_000)
    with pytest.raises(
        UserError, match=r"huge\.png: has more than 3 megapixels, the most that are read; crop it to head"
    ):
        read_color(tmp_path / "huge.png")


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".bmp", ".webp"])
def test_a_truncated_image_raises(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"face{suffix}"
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (60, 80, 3), np.uint8)).save(path)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.raises(UserError, match=rf"face\{suffix}: not a readable image .*give another picture"):
        read_color(path)


def test_an_image_of_one_pixel_raises(tmp_path: Path) -> None:
    Image.new("RGB", (1, 1)).save(tmp_path / "dot.png")
    with pytest.raises(UserError, match=r"dot\.png: is 1x1 pixels, too small to show a face; give a larger picture"):
        read_color(tmp_path / "dot.png")
    with pytest.raises(UserError, match=r"gone\.png: cannot be read \(No such file or directory\); restore the file"):
        read_color(tmp_path / "gone.png")


def test_a_profile_is_that_of_rgb_values(tmp_path: Path) -> None:
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    picture = Image.new("RGB", (24, 24), "red")
    for name, options in (("srgb", {"icc_profile": profile}), ("plain", {}), ("lab", {"icc_profile": lab})):
        picture.save(tmp_path / f"{name}.png", **options)
    assert color_profile(tmp_path / "srgb.png") == profile
    assert color_profile(tmp_path / "plain.png") is None
    assert color_profile(tmp_path / "lab.png") is None
