"""The synthesizer: the generators of a run, which put a micro-expression on a neutral face."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from icegan_jax.data.images import color_profile
from icegan_jax.data.landmarks import Box
from icegan_jax.inference.composite import composite_face, generator_inputs
from icegan_jax.inference.ensemble import load_ensemble
from icegan_jax.inference.face_crops import NeutralFace, crop_neutral_face
from icegan_jax.inference.inputs import AnyPath, Picture, to_color_picture, to_prepared_crop
from icegan_jax.inference.media import ProvenanceMetadata, encode_still
from icegan_jax.inference.quality_flags import DRAWN_FACES
from icegan_jax.inference.synthesize import (
    MAX_INTENSITY,
    MAX_SEED,
    STILL_SUFFIXES,
    SynthesisRequest,
    provenance_metadata,
)
from icegan_jax.io import write_bytes

Gray = NDArray[np.uint8]
Color = NDArray[np.uint8]


@dataclass(frozen=True)
class Synthesis:
    """A synthesized expression.

    Attributes:
        label: the class of the expression.
        intensity: the factor of the change; 1 as trained.
        seed: the number of the noise draw.
        picture: uint8[h, w, 3] RGB, the picture with the expression composited into it; of a prepared crop the
            generator's face itself.
        crop: uint8[n, n], the generator's face.
        onset: uint8[n, n], the crop of the neutral face.
        box: the crop, in pixels of the picture; None of a prepared crop.
        folds: the names of the folds whose generators were averaged.
        note: what the user should know, such as that the largest of several faces was taken, or that the networks were
            trained on drawn faces; empty for nothing.
        provenance: the metadata that ``save`` writes into the file.
        profile: the ICC profile of the picture's colors; None without one.
    """

    label: str
    intensity: float
    seed: int
    picture: Color
    crop: Gray
    onset: Gray
    box: Box | None
    folds: tuple[str, ...]
    note: str
    provenance: ProvenanceMetadata
    profile: bytes | None = None

    def save(self, path: AnyPath) -> None:
        """Write the picture to a .png or .jpg file whose metadata says that it is synthetic.

        Raises:
            ValueError: The file name has another suffix.
            OSError: The file cannot be written.
        """
        path = Path(path)
        if path.suffix.lower() not in STILL_SUFFIXES:
            raise ValueError(f"path: {path}; give a name that ends in {', '.join(STILL_SUFFIXES)}")
        write_bytes(path, encode_still(self.picture, path.suffix.lower(), self.provenance, self.profile))


class Synthesizer:
    """Puts micro-expressions on neutral faces with the generators of a trained run.

    Attributes:
        ensemble: the networks; ``ensemble.synthesize`` takes batches of prepared crops.
    """

    def __init__(self, path: AnyPath, fold: str | None = None, exclude_subject: str | None = None) -> None:
        """Read the generators of a run, see ``icegan_jax.load_run``.

        Raises:
            UserError: see ``icegan_jax.load_run``; or the run was trained without a generator.
        """
        self.ensemble = load_ensemble(Path(path), generator=True, fold=fold, exclude_subject=exclude_subject)

    @property
    def classes(self) -> tuple[str, ...]:
        """The names of the classes, in label order."""
        return self.ensemble.classes

    @property
    def image_size(self) -> int:
        """Pixels on a side of a prepared crop."""
        return self.ensemble.image_size

    def synthesize(
        self,
        face: Picture,
        expression: str,
        *,
        intensity: float = 1.0,
        seed: int = 0,
        face_number: int | None = None,
        cropped: bool = False,
    ) -> Synthesis:
        """Put an expression on a neutral face.

        Args:
            face: the path of a picture, uint8[h, w] gray or uint8[h, w, 3] RGB, or floats in [0, 1] of these shapes.
            expression: one of ``classes``.
            intensity: the factor of the change: 0 leaves the face as it is, 1 is as trained, up to 2.
            seed: the number of the noise draw.
            face_number: the number of the face in the picture, from 1, left to right; None: the largest face.
            cropped: ``face`` is a prepared crop [n, n] already.

        Raises:
            TypeError: An array is neither uint8 nor a float.
            ValueError: The shape, range or value of an argument is wrong.
            UserError: The file cannot be read, or no face is detected.
        """
        if expression not in self.classes:
            raise ValueError(f"expression: {expression!r}; the classes of the run are {', '.join(self.classes)}")
        if not 0 <= intensity <= MAX_INTENSITY:  # NaN is refused, too
            raise ValueError(f"intensity: {intensity}; give 0 (the onset) to {MAX_INTENSITY:g}; 1 is as trained")
        if not 0 <= seed <= MAX_SEED:
            raise ValueError(f"seed: {seed}; give 0 to {MAX_SEED}")
        if face_number is not None and face_number < 1:
            raise ValueError(f"face_number: {face_number}; faces are counted from 1, from the left")
        neutral = self._neutral_face(face, face_number, cropped)
        onset, label, draw = generator_inputs([neutral], [self.classes.index(expression)], [seed])
        (crop,) = self.ensemble.synthesize(onset, label, draw, np.full(1, intensity, np.float32))
        if cropped:
            picture = np.repeat(crop[..., None], 3, axis=2)
        else:
            (change,) = self.ensemble.motion_field(onset, label, draw)
            picture = composite_face(neutral.picture, neutral.box, change, intensity)
        request = SynthesisRequest(
            input=Path(face) if isinstance(face, AnyPath) else Path("array"),
            out=Path(f"{expression}_synthetic.png"),
            expression=expression,
            intensity=intensity,
            seed=seed,
            face=face_number,
            crop=cropped,
        )
        return Synthesis(
            label=expression,
            intensity=intensity,
            seed=seed,
            picture=picture,
            crop=crop,
            onset=neutral.onset,
            box=None if cropped else neutral.box,
            folds=self.ensemble.fold_names,
            note=" ".join(filter(None, (neutral.note, DRAWN_FACES.sentence * self.ensemble.drawn_faces))),
            provenance=provenance_metadata(request, self.ensemble, [neutral]),
            profile=color_profile(Path(face)) if isinstance(face, AnyPath) and not cropped else None,
        )

    def _neutral_face(self, face: Picture, face_number: int | None, cropped: bool) -> NeutralFace:
        n = self.image_size
        if cropped:
            crop = to_prepared_crop(face, "face", n)
            return NeutralFace("face", np.repeat(crop[..., None], 3, axis=2), Box(0, 0, n, n), crop)
        path = Path(face) if isinstance(face, AnyPath) else Path("face")
        return crop_neutral_face(to_color_picture(face, "face"), path, n, face_number)
