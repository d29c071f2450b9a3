"""Regions against hand-made ones, and against what is known of a drawn and of a real face."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from experiments.shared import muscle_regions as muscles
from icegan_jax.data.align import IDENTITY, crop_face, to_gray
from icegan_jax.data.clips import read_clips
from icegan_jax.data.landmarks import Box, Face, find_face
from icegan_jax.data.synthetic import draw_clips, read_true_regions
from icegan_jax.errors import UserError

SIZE = 128
# A frame of 280x240 whose face box is exactly the columns 50..177 and the rows 70..197: a crop without resampling.
BOX = Box(49.5, 69.5, 177.5, 197.5)
FRAME = np.random.default_rng(0).integers(0, 256, (280, 240), np.uint8)
ONSET = FRAME[70:198, 50:178]
HEADER = "dataset,subject,clip,label,frames,onset,apex,offset\n"


def block(top: int, bottom: int, left: int, right: int) -> np.ndarray:
    mask = np.zeros(FRAME.shape, bool)
    mask[top:bottom, left:right] = True
    return mask


@pytest.fixture
def handmade(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A prepared folder with one person's two negative clips, of units AU4 + AU15 and AU4 + AU9, and another person."""
    raw = tmp_path / "raw"
    for name in ("a", "b", "c"):
        (raw / name).mkdir(parents=True)
        for number in (3, 4):
            cv2.imwrite(str(raw / name / f"img{number}.png"), FRAME)
    rows = ["d,p1,n1,negative,a,3,4,4", "d,p1,n2,negative,b,3,4,4", "d,p2,s1,surprise,c,3,4,4"]
    (raw / "clips.csv").write_text(HEADER + "\n".join(rows) + "\n")
    np.savez(
        raw / "regions.npz",
        **{
            "p1/n1/AU4": block(80, 90, 60, 100),
            "p1/n2/AU4": block(80, 90, 90, 110),
            "p1/n1/AU15": block(150, 170, 60, 70),
            "p1/n2/AU9": block(110, 130, 100, 120),
            "p2/s1/AU26": block(180, 280, 0, 240),
        },
    )
    width = BOX.width / 1.2  # the landmarks' box, which prepare grows by a tenth of its width on every side
    low, high = (50 - 0.5 + 0.1 * width, 70 - 0.5 + 0.1 * width), (177.5 - 0.1 * width, 197.5 - 0.1 * width)
    face = Face(np.array([low, high] * 34), 1, 0, "")
    assert np.allclose((face.box().left, face.box().bottom), (BOX.left, BOX.bottom))
    monkeypatch.setattr(muscles, "find_face", lambda images: face if next(iter(images)) is not None else None)
    return tmp_path


def test_a_rectangle_is_cropped_to_the_pixel() -> None:
    crop = muscles.crop_mask(block(100, 120, 60, 90), BOX, SIZE)
    expected = np.zeros((SIZE, SIZE), bool)
    expected[30:50, 10:40] = True
    np.testing.assert_array_equal(crop, expected)


def test_exact_regions_are_the_union_over_a_persons_clips(handmade: Path) -> None:
    onsets = {("d", "p1", "n1"): ONSET, ("d", "p1", "n2"): ONSET, ("d", "p2", "s1"): ONSET}
    regions = muscles.muscle_regions(handmade, onsets)
    assert regions.source == muscles.EXACT and regions.borrowed == ()
    expected = {
        "AU4": block(80, 90, 60, 110),
        "AU15": block(150, 170, 60, 70),
        "AU9": block(110, 130, 100, 120),
    }
    for clip in ("n1", "n2"):
        masks = regions.masks["d", "p1", clip]
        assert set(masks) == set(expected)
        for unit, mask in expected.items():
            np.testing.assert_array_equal(masks[unit], mask[70:198, 50:178])
        whole = np.logical_or.reduce(list(expected.values()))[70:198, 50:178]
        np.testing.assert_array_equal(regions.of_class(("d", "p1", clip), 0), whole)
        assert not regions.of_class(("d", "p1", clip), 1).any()  # no positive clip: where is not known
    assert regions.of_class(("d", "p2", "s1"), 2).sum() == (198 - 180) * SIZE


def test_regions_of_other_clips_are_refused(handmade: Path) -> None:
    with pytest.raises(UserError, match=r"raw: the onset of d/p1/n1 is not the run's; give the folder that the run"):
        muscles.exact_regions(handmade, {("d", "p1", "n1"): 255 - ONSET})
    for key in (("d", "p1", "n3"), ("e", "p1", "n1")):
        with pytest.raises(UserError, match=f"raw: no regions of {'/'.join(key)}; give the folder that the run"):
            muscles.exact_regions(handmade, {key: ONSET})
    (handmade / "raw" / "a" / "img3.png").unlink()
    with pytest.raises(UserError, match="frame 3 is missing"):
        muscles.exact_regions(handmade, {("d", "p1", "n1"): ONSET})
    file = handmade / "raw" / "regions.npz"
    file.write_text("no arrays")
    with pytest.raises(UserError, match="regions.npz: damaged; prepare the faces again"):
        muscles.exact_regions(handmade, {("d", "p1", "n1"): ONSET})


def test_energy_of_a_change_inside_and_outside() -> None:
    onset = np.full((8, 8), 200, np.uint8)
    mask = np.zeros((8, 8), bool)
    mask[:2] = True
    inside, outside, both = onset.copy(), onset.copy(), onset.copy()
    inside[0, 3], outside[5, 3] = 255, 0  # in uint8 both differences would wrap
    both[1, 1], both[7, 7] = 203, 196  # 9 and 16
    assert muscles.energy_share(inside, onset, mask) == 1.0
    assert muscles.energy_share(outside, onset, mask) == 0.0
    assert muscles.energy_share(both, onset, mask) == pytest.approx(9 / 25)
    assert np.isnan(muscles.energy_share(onset, onset, mask))
    assert muscles.area_share(mask) == 0.25
    assert muscles.energy_share(255 - onset, onset, mask) == pytest.approx(0.25)  # an even spread scores the area


def center(mask: np.ndarray) -> np.ndarray:
    """The middle (x, y) of a mask."""
    return np.argwhere(mask).mean(0)[::-1]


def test_drawn_face_moves_where_its_regions_say(tmp_path: Path) -> None:
    table = draw_clips(tmp_path / "raw", seed=3, subjects=1, clips_per_class=1, frames=6, progress=False)
    clips, true = read_clips(table), read_true_regions(table.parent)
    onsets, apexes = {}, {}
    for clip in clips:
        onset, apex = (cv2.imread(str(clip.frames / f"img{n}.png"), 0) for n in (clip.onset, clip.apex))
        box = find_face([onset]).box().within(onset.shape)
        key = (clip.dataset, clip.subject, clip.clip)
        onsets[key], apexes[key] = (to_gray(crop_face(image, box, IDENTITY, SIZE)) for image in (onset, apex))
    exact = muscles.muscle_regions(tmp_path, onsets)
    (tmp_path / "raw" / "regions.npz").unlink()
    guessed = muscles.muscle_regions(tmp_path, onsets)
    assert (exact.source, guessed.source) == (muscles.EXACT, muscles.LANDMARKS)

    for clip in clips:
        key = (clip.dataset, clip.subject, clip.clip)
        units = {name.split("/")[2] for name in true if name.startswith(f"p01/{clip.clip}/")}
        assert units <= set(muscles.CLASS_UNITS[clip.label])
        for regions in (exact, guessed):
            mask = regions.of_class(key, clip.label)
            assert mask.shape == (SIZE, SIZE) and 0.02 < muscles.area_share(mask) < 0.6
            assert muscles.energy_share(apexes[key], onsets[key], mask) > 1.5 * muscles.area_share(mask)
        for unit in units:  # FACS in words against the displacements themselves
            ours, theirs = guessed.masks[key][unit], exact.masks[key][unit]
            assert np.linalg.norm(center(ours) - center(theirs)) < 0.12 * SIZE, unit
            assert (ours & theirs).any()


def test_landmark_regions_of_a_real_face(face_image: np.ndarray) -> None:
    box = find_face([face_image]).box().within(face_image.shape)
    onset = to_gray(crop_face(face_image, box, IDENTITY, SIZE))
    blank = np.full_like(onset, 90)
    keys = [("d", "s1", "c"), ("d", "s2", "c")]
    regions = muscles.landmark_regions("DATA", dict(zip(keys, (onset, blank), strict=True)))
    assert regions.borrowed == (keys[1],)  # and has the landmarks of the only other
    for unit, mask in regions.masks[keys[0]].items():
        np.testing.assert_array_equal(mask, regions.masks[keys[1]][unit])
        assert 0.005 < mask.mean() < 0.3, unit
    assert set(regions.masks[keys[0]]) == {unit for units in muscles.CLASS_UNITS for unit in units}
    height = {unit: center(mask)[1] for unit, mask in regions.masks[keys[0]].items()}
    order = ("AU1", "AU4", "AU5", "AU6", "AU12", "AU15", "AU26")
    assert sorted(order, key=height.get) == list(order)


def test_no_regions_and_no_face() -> None:
    blank = {("d", "s", "c"): np.zeros((SIZE, SIZE), np.uint8)}
    with pytest.raises(
        UserError, match=r"DATA: no raw/regions.npz and no face in any of 1 onsets; give prepared faces"
    ):
        muscles.muscle_regions("DATA", blank)
    with pytest.raises(UserError, match="classes happy, sad: their action units are not known; give faces of negative"):
        muscles.units_of(("happy", "sad"))
