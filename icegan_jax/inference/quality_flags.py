"""Reasons not to trust an answer too much, each a word for a table and a sentence for a person."""

from dataclasses import dataclass

import numpy as np

from icegan_jax.data.crop import ClipCrops, FaceDetection
from icegan_jax.data.landmarks import bounding_box

# CASME II has 200 frames per second, SMIC HS 100, CASME 60, the slowest (docs/databases.md, "Frame rates"): below
# that, a micro-expression of at most half a second (Yan et al. 2013) has few frames.
LEAST_RATE = 60.0
LEAST_FACE = 80.0  # pixels across; dlib's detector was trained on faces of 80, and 128 are made of them
MOST_TRAVEL = 0.04  # of the crop's width: 5 of 128 pixels, more than a micro-expression moves skin (1 to 3)
MOST_SECONDS = 0.5  # of a micro-expression (Yan et al. 2013)
LEAST_MARGIN = 0.1  # between the two longest capsules; the margin loss wants 0.8 (0.9 and 0.1, paper, eq. 5)
# |apex - onset| over |apex - the frame beside it|, means over the crop: 1 where nothing but noise changes. The clip of
# faces/micro that does not move (subject04, sad) has 1.0, the others 2.9 and more, 48 drawn clips 1.36 and more.
LEAST_CHANGE = 1.2


@dataclass(frozen=True)
class Flag:
    """A reason for caution.

    Attributes:
        word: for a table, such as "small_face".
        sentence: for a person.
    """

    word: str
    sentence: str


def flag_frame_rate(rate: float | None) -> list[Flag]:
    """What the frame rate, in frames per second, gives cause for."""
    if rate is None:
        return [Flag("rate_unknown", "The frame rate is not known: no times can be given; name it with --fps.")]
    if rate < LEAST_RATE:
        return [
            Flag(
                "slow_camera",
                f"Filmed at {rate:g} frames per second: below {LEAST_RATE:g} a micro-expression has few frames, and "
                "its apex may lie between two.",
            )
        ]
    return []


def flag_face(sighting: FaceDetection) -> list[Flag]:
    """What the face and its registration give cause for."""
    flags = []
    width = bounding_box(sighting.face.points).width
    if sighting.face.count > 1:
        flags.append(
            Flag("several_faces", f"{sighting.face.count} faces are in the picture: the largest one was read.")
        )
    if width < LEAST_FACE:
        flags.append(
            Flag("small_face", f"The face is {width:.0f} pixels wide; below {LEAST_FACE:g} small movements are lost.")
        )
    if sighting.motion_extent > MOST_TRAVEL * sighting.box.width:
        flags.append(
            Flag(
                "moving_head",
                f"The head moved by {sighting.motion_extent:.1f} pixels, "
                f"{sighting.motion_extent / sighting.box.width:.0%} of the crop's width: what is left of that "
                "after registration may be taken for an expression.",
            )
        )
    resisted = sum(change.field == "registration" for change in sighting.crops.changes)
    if resisted:
        frames = len(sighting.crops.shifts)
        sentence = f"{resisted} of {frames} frames could not be moved onto the onset, and were read as they are."
        flags.append(Flag("not_registered", sentence))
    for change in sighting.crops.changes:
        if change.field == "face" and change.new in ("cut off", sighting.face.help):
            flags.append(Flag("poor_picture", f"{change.reason[:1].upper()}{change.reason[1:]}."))
        elif change.field == "face" and sighting.face.position:
            flags.append(Flag("no_face_in_onset", f"{change.reason[:1].upper()}{change.reason[1:]}."))
    return flags


def flag_change(cropped: ClipCrops) -> list[Flag]:
    """Whether anything but noise moves; nothing is said of a clip without a frame beside its apex."""
    at = {shift: face.astype(np.float64) for shift, face in zip(cropped.shifts, cropped.faces, strict=True)}
    beside = [float(np.abs(at[0] - at[shift]).mean()) for shift in (-1, 1) if shift in at]
    change = float(np.abs(at[0] - cropped.onset).mean())
    if not beside or change >= LEAST_CHANGE * min(beside):
        return []
    sentence = (
        f"The apex differs from the onset by {change:.1f} grey levels on average, hardly more than from the next "
    )
    return [Flag("hardly_moves", f"{sentence}frame ({min(beside):.1f}): that may be noise.")]


def flag_duration(onset: int, apex: int, offset: int, rate: float | None) -> list[Flag]:
    """Of frame numbers: how long it takes, and whether the end was seen."""
    flags = []
    if apex == offset and offset - onset > 1:
        flags.append(Flag("apex_is_last", "The strongest change is in the last frame: it may have gone on after that."))
    if rate is not None and (offset - onset) / rate > MOST_SECONDS:
        flags.append(
            Flag(
                "longer_than_micro",
                f"Onset to offset take {(offset - onset) / rate:.2f} s; a micro-expression takes at most "
                f"{MOST_SECONDS:g}.",
            )
        )
    return flags


def flag_margin(margin: float | None) -> list[Flag]:
    """Of how far the longest capsule is ahead."""
    if margin is None or margin >= LEAST_MARGIN:
        return []
    return [Flag("close_call", f"The two longest capsules differ by {margin:.2f} only.")]
