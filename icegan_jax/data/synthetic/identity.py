"""The identity of a drawn subject: the parameters from which the face is drawn.

The unit is the frame pixel, which is about one millimeter of an adult face: the means below are rounded adult
anthropometry (distance of the pupils 63 mm, of the cheekbones 135 mm, width of the mouth 50 mm, eye to chin 110 mm).
"""

from dataclasses import dataclass

import numpy as np

FRAME_HEIGHT = 280
FRAME_WIDTH = 240
CENTER_X = 120.0  # the face's midline, frame pixels
EYE_Y = 132.0  # height of the pupils, frame pixels
CROP_SIDE = 128  # side of the prepared face crop (docs/design.md, "Crop and registration")
# The landmarks' box plus 10% on each side (docs/design.md, "Test faces and the reference classifier").
CROP_PADDING = 1.2

HAIR_STYLES = ("short", "long", "receding", "cropped")


@dataclass(frozen=True)
class Identity:
    """The parameters of one person: geometry in frame pixels (y downwards), tones in [0, 1], light in radians."""

    head_half_width: float
    jaw_ratio: float  # half width at the jaw angle / head_half_width
    chin_width: float
    crown_y: float
    chin_y: float
    eye_half_distance: float
    eye_half_width: float
    lid_up: float  # upper lid above the pupil's height
    lid_low: float
    eye_tilt: float
    iris_tone: float
    gaze: float
    crease: float  # strength of the lid crease
    brow_gap: float  # distance of the brow above the pupils
    brow_arch: float
    brow_slope: float
    brow_half_length: float
    brow_thickness: float
    brow_density: float
    nose_length: float
    nose_half_width: float
    nose_height: float
    bridge_half_width: float
    mouth_y: float
    mouth_half_width: float
    corner_drop: float  # resting mouth corners below the mouth's middle
    upper_lip: float
    lower_lip: float
    lip_tone: float
    cheek: float
    chin_height: float
    skin_tone: float
    mottle: float
    freckles: int
    beard: float
    bags: float
    folds: float  # resting nasolabial folds
    hair_style: str
    hair_tone: float
    hair_volume: float
    hairline_y: float
    hair_wave: float
    light_azimuth: float  # 0 = frontal, positive = from the image's right
    light_elevation: float
    light_strength: float
    background_tone: float
    clothing_tone: float
    texture_seed: int

    @property
    def brow_y(self) -> float:
        """The height of the brows' middle in frame pixels."""
        return EYE_Y - self.brow_gap

    @property
    def nose_y(self) -> float:
        """The height of the nose's base in frame pixels."""
        return EYE_Y + self.nose_length

    @property
    def crop_scale(self) -> float:
        """The number of frame pixels per pixel of the 128x128 face crop."""
        height = self.chin_y - self.brow_y + self.brow_arch + self.brow_thickness / 2
        width = 2 * self.head_half_width
        return CROP_PADDING * (height + width) / 2 / CROP_SIDE


def sample_identity(rng: np.random.Generator) -> Identity:
    """Draw the parameters of one person. The order of the draws defines the people of a seed."""

    def clipped_normal(mean: float, spread: float) -> float:
        return float(mean + spread * np.clip(rng.normal(), -1.8, 1.8))

    def uniform(low: float, high: float) -> float:
        return float(rng.uniform(low, high))

    nose_length = clipped_normal(44.0, 2.6)
    mouth_y = EYE_Y + nose_length + clipped_normal(22.0, 1.6)
    skin_tone = uniform(0.42, 0.92)
    return Identity(
        head_half_width=clipped_normal(67.0, 3.2),
        jaw_ratio=clipped_normal(0.86, 0.035),
        chin_width=clipped_normal(0.36, 0.05),
        crown_y=clipped_normal(32.0, 4.0),
        chin_y=mouth_y + clipped_normal(42.0, 3.0),
        eye_half_distance=clipped_normal(31.5, 1.5),
        eye_half_width=clipped_normal(14.6, 0.8),
        lid_up=clipped_normal(5.6, 0.8),
        lid_low=clipped_normal(4.2, 0.6),
        eye_tilt=clipped_normal(0.05, 0.06),
        iris_tone=uniform(0.08, 0.42),
        gaze=clipped_normal(0.0, 0.6),
        crease=uniform(0.2, 1.0),
        brow_gap=clipped_normal(20.5, 2.0),
        brow_arch=clipped_normal(3.2, 1.3),
        brow_slope=clipped_normal(0.0, 0.06),
        brow_half_length=clipped_normal(18.0, 1.3),
        brow_thickness=clipped_normal(5.6, 1.2),
        brow_density=uniform(0.45, 1.0),
        nose_length=nose_length,
        nose_half_width=clipped_normal(16.0, 1.7),
        nose_height=clipped_normal(17.0, 2.5),
        bridge_half_width=clipped_normal(6.5, 0.8),
        mouth_y=mouth_y,
        mouth_half_width=clipped_normal(25.5, 2.0),
        corner_drop=clipped_normal(-0.2, 1.3),
        upper_lip=clipped_normal(5.6, 1.2),
        lower_lip=clipped_normal(7.6, 1.3),
        lip_tone=uniform(0.58, 0.84),
        cheek=uniform(2.0, 8.0),
        chin_height=uniform(4.0, 9.0),
        skin_tone=skin_tone,
        mottle=uniform(0.4, 1.2),
        freckles=int(rng.integers(0, 60)) if rng.random() < 0.4 else int(rng.integers(0, 6)),
        beard=uniform(0.25, 0.9) if rng.random() < 0.4 else 0.0,
        bags=uniform(0.0, 1.0),
        folds=uniform(0.1, 0.9),
        hair_style=str(rng.choice(HAIR_STYLES)),
        hair_tone=uniform(0.05, 0.6) if skin_tone > 0.6 else uniform(0.04, 0.18),
        hair_volume=uniform(6.0, 15.0),
        hairline_y=clipped_normal(76.0, 4.0),
        hair_wave=uniform(0.0, 1.0),
        light_azimuth=uniform(-0.95, 0.95),
        light_elevation=uniform(0.15, 0.85),
        light_strength=uniform(0.45, 0.72),
        background_tone=uniform(0.15, 0.85),
        clothing_tone=uniform(0.08, 0.75),
        texture_seed=int(rng.integers(2**31)),
    )
