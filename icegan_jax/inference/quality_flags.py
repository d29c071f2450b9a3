"""Quality flags: properties of a clip that make its prediction unreliable."""

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.crop import ANOTHER_FACE, FaceDetection
from icegan_jax.data.landmarks import SURE_SCORE, bounding_box
from icegan_jax.data.spotting.stream import MICRO_SECONDS
from icegan_jax.evaluation.calibration import Calibration

# CASME II has 200 frames per second, SMIC HS 100, and CASME 60, the lowest (docs/databases.md, "Frame rates"): below
# that rate a micro-expression of at most half a second (Yan et al. 2013) has few frames.
MIN_FPS = 60.0
MIN_FACE_PIXELS = 80.0  # width; dlib's detector was trained on faces of 80 pixels; the networks receive 128
MAX_HEAD_MOTION = 0.04  # of the crop's width: 5 of 128 pixels; a micro-expression moves skin by 1 to 3
# The difference of apex and onset, blurred by a 64th of the crop's width, in gray levels (root of the mean square), and
# its share of the energy of the difference. Faces at rest with noise of 1.5 and 3 gray levels, whole and through H.264
# (CRF 18 to 28), have up to 0.71; with noise of 1 to 8 gray levels, or JPEG of quality 25, a share up to 0.08. 23 of
# the 24 moved faces have 4.0 and 0.26 or more (subject04, sad, without motion: 0.52 and 0.04), 48 drawn clips 0.87 and
# 0.11 or more.
MIN_MOVEMENT = 0.8
MIN_MOVEMENT_SHARE = 0.1
_BLUR_SHARE = 1 / 64


@dataclass(frozen=True)
class QualityFlag:
    """A reason for caution.

    Attributes:
        word: an identifier for tables, such as "small_face".
        sentence: the explanation for the user.
    """

    word: str
    sentence: str


DRAWN_FACES = QualityFlag(
    "trained_on_drawn_faces",
    "The networks were trained on drawn faces only and know nothing of real ones: train on recordings of people before "
    "you use them on people.",
)
_NO_THRESHOLD = QualityFlag(
    "no_threshold",
    'The run has no threshold for "no expression": a face at rest gets a class, too; a finished run of this version '
    "that holds people out has one.",
)
# The flags of changes that were made to a clip, by the changed field.
_CHANGE_FLAGS = {
    "onset": QualityFlag(
        "late_onset", "The clip begins later than given: the frames before show no face, or are as dark as in a fade."
    ),
    "offset": QualityFlag("cut", "The clip ends earlier than given: a cut, another person, or a fade follows."),
    ANOTHER_FACE: QualityFlag(
        "two_people", "Onset and apex do not show the same face: two people, a cut, or a frame without a face."
    ),
}


def flag_frame_rate(
    fps: float | None, missing_frames: int = 0, rates: tuple[float, float] | None = None
) -> list[QualityFlag]:
    """Return the flags of a frame rate and of missing frames.

    Args:
        fps: frames per second; None: the rate is unknown.
        missing_frames: the number of frames that the recording lacks, see ``VideoInfo.missing_frames``.
        rates: the lowest and the highest rate of a recording whose rate varies; None: the rate does not vary.
    """
    flags = []
    if rates is not None:
        sentence = (
            f"The frame rate varies from {rates[0]:.3g} to {rates[1]:.3g} per second: times are the time stamps of the "
            "frames; where the rate is low, a short expression has few frames."
        )
        flags.append(QualityFlag("rate_varies", sentence))
    if missing_frames:
        sentence = (
            f"The video lacks {missing_frames} frame{'s' * (missing_frames > 1)}: null frames, which repeat the frame "
            "before, or gaps in its time stamps, in which a short expression may be lost."
        )
        flags.append(QualityFlag("missing_frames", sentence))
    if fps is None:
        sentence = "The frame rate is not known: times in seconds cannot be computed; give --fps."
        flags.append(QualityFlag("rate_unknown", sentence))
    elif fps < MIN_FPS:
        sentence = (
            f"Filmed at {fps:.4g} frames per second: below {MIN_FPS:g} a micro-expression has few frames, and its apex "
            "may lie between two."
        )
        flags.append(QualityFlag("slow_camera", sentence))
    return flags


def flag_face(detection: FaceDetection) -> list[QualityFlag]:
    """Return the flags of a face, its picture and its registration."""
    flags = []
    width = bounding_box(detection.face.points).width
    if detection.face.count > 1:
        sentence = f"{detection.face.count} faces are in the picture: the largest one is used."
        flags.append(QualityFlag("several_faces", sentence))
    if width < MIN_FACE_PIXELS:
        sentence = f"The face is {width:.0f} pixels wide; below {MIN_FACE_PIXELS:g} small movements are lost."
        flags.append(QualityFlag("small_face", sentence))
    if detection.motion_extent > MAX_HEAD_MOTION * detection.box.width:
        flags.append(
            QualityFlag(
                "moving_head",
                f"The head moved by {detection.motion_extent:.1f} pixels, "
                f"{detection.motion_extent / detection.box.width:.0%} of the crop's width: motion that registration "
                "does not remove may be mistaken for an expression.",
            )
        )
    unregistered = sum(change.field == "registration" for change in detection.crops.changes)
    if unregistered:
        frames = len(detection.crops.shifts)
        sentence = (
            f"{unregistered} of {frames} frames could not be registered to the onset and are used without registration."
        )
        flags.append(QualityFlag("not_registered", sentence))
    if detection.face.position:
        sentence = "No face was found in the onset: the box is that of a later frame."
        flags.append(QualityFlag("no_face_in_onset", sentence))
    if detection.face.turn:
        degrees = 90 * detection.face.turn
        sentence = f"All frames were turned by {degrees} degrees counterclockwise, after which the face is upright."
        flags.append(QualityFlag("turned", sentence))
    if detection.face.score < SURE_SCORE:
        sentence = (
            f"The detector is not sure of the face (score {detection.face.score:.1f}, most faces {SURE_SCORE:g} or "
            "more): it may be covered, turned away, or none."
        )
        flags.append(QualityFlag("uncertain_face", sentence))
    flags += [_CHANGE_FLAGS[change.field] for change in detection.crops.changes if change.field in _CHANGE_FLAGS]
    for change in detection.crops.changes:
        if change.field == "face" and change.new in ("cut off", detection.face.help):
            flags.append(QualityFlag("poor_picture", f"{change.reason[:1].upper()}{change.reason[1:]}."))
    return flags


def flag_change(onset: NDArray[np.uint8], apex: NDArray[np.uint8]) -> list[QualityFlag]:
    """Return a flag where two registered crops uint8[n, n] differ by noise only.

    A movement changes whole areas, noise single pixels: the difference is blurred. The frames beside the apex would not
    show the noise, as a codec makes them alike.
    """
    difference = apex.astype(np.float64) - onset
    difference -= difference.mean()
    blurred = cv2.GaussianBlur(difference, (0, 0), _BLUR_SHARE * len(difference))
    movement, energy = float(np.sqrt((blurred**2).mean())), float((difference**2).mean())
    if movement >= MIN_MOVEMENT and movement**2 >= MIN_MOVEMENT_SHARE * energy:
        return []
    sentence = (
        f"The apex differs from the onset by {np.abs(difference).mean():.1f} gray levels on average, without the shape "
        "of a movement: the change may be noise."
    )
    return [QualityFlag("hardly_moves", sentence)]


def flag_duration(onset: int, apex: int, offset: int, seconds: float | None) -> list[QualityFlag]:
    """Return the flags of the frame numbers, and of the seconds from onset to offset; None where they are unknown."""
    flags = []
    if apex == offset and offset - onset > 1:
        sentence = "The strongest change is in the last frame: the expression may continue after the recording."
        flags.append(QualityFlag("apex_is_last", sentence))
    if seconds is not None and seconds > MICRO_SECONDS:
        sentence = f"Onset to offset take {seconds:.2f} s; a micro-expression takes at most {MICRO_SECONDS:g}."
        flags.append(QualityFlag("longer_than_micro", sentence))
    return flags


def flag_answer(longest: float, margin: float | None, calibration: Calibration | None) -> list[QualityFlag]:
    """Return a flag where the answer is "no expression" or a close call.

    Args:
        longest: the length of the longest capsule.
        margin: by how much the capsule is longer than the second longest; None for a single class.
        calibration: that of the run; None: there is no flag.
    """
    if calibration is None:
        return []
    threshold, close_call = calibration.threshold, calibration.close_call
    if longest <= threshold.length:
        num_pairs, num_clips = sum(threshold.resting), sum(threshold.clips)
        sentence = (
            f"The longest capsule has a length of {longest:.2f}, not above the threshold of {threshold.length:.2f}. So "
            f"were answered {num_pairs - sum(threshold.false_alarms)} of {num_pairs} held-out pairs at rest and "
            f"{sum(threshold.missed)} of {num_clips} held-out clips with an expression."
        )
        return [QualityFlag("below_threshold", sentence)]
    if margin is None or not close_call.answers or margin > close_call.margin:
        return []
    sentence = (
        f"The two longest capsules differ by {margin:.2f} only: {close_call.right} of {close_call.answers} held-out "
        f"answers with a margin of {close_call.margin:.2f} or less were right."
    )
    return [QualityFlag("close_call", sentence)]


def flag_run(calibration: Calibration | None, *, drawn_faces: bool) -> list[QualityFlag]:
    """Return the flags that all answers of a run have.

    Args:
        calibration: that of the run; None where there is none.
        drawn_faces: whether the run was trained on drawn faces.
    """
    flags = [DRAWN_FACES] * drawn_faces
    return flags + [_NO_THRESHOLD] * (calibration is None)
