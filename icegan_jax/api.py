"""The Python interface: a trained run, the named configs, and training. See docs/python.md."""

import contextlib
import io
from functools import cached_property
from pathlib import Path
from typing import Any

from ml_collections import ConfigDict

from icegan_jax.config import load_config
from icegan_jax.config_fields import CONFIGS_DIR
from icegan_jax.errors import UserError, did_you_mean
from icegan_jax.inference.ensemble import choose_folds, has_generator, read_classes
from icegan_jax.inference.inputs import AnyPath, Array, FrameSource, Picture
from icegan_jax.inference.recognize import Recognition, RecordingResult
from icegan_jax.inference.recognizer import Recognizer
from icegan_jax.inference.synthesizer import Synthesis, Synthesizer


def load_run(path: AnyPath, fold: str | None = None, exclude_subject: str | None = None) -> "Run":
    """Open a trained run. The networks are read when they are first used.

    Args:
        path: the directory of the run (--workdir of the training).
        fold: use the networks of this fold only; None: the mean over all finished folds.
        exclude_subject: use only networks that were not trained on this subject, DATASET/SUBJECT or SUBJECT: give it
            for the face of one of the run's own subjects.

    Raises:
        UserError: There is no such run, fold or subject, or no fold is finished.
    """
    return Run(path, fold=fold, exclude_subject=exclude_subject)


class Run:
    """A trained run, see ``load_run``.

    Attributes:
        path: the directory of the run.
        folds: the names of the folds whose networks are used.
        classes: the names of the classes, in label order.
    """

    def __init__(self, path: AnyPath, fold: str | None = None, exclude_subject: str | None = None) -> None:
        """Open a run, see ``load_run``."""
        self.path = Path(path)
        self._choice: dict[str, Any] = {"fold": fold, "exclude_subject": exclude_subject}
        self.has_generator = has_generator(self.path)
        folds = choose_folds(self.path, **self._choice)
        self.folds = tuple(fold.name for fold in folds)
        self.classes = read_classes(folds)

    @cached_property
    def recognizer(self) -> Recognizer:
        """The discriminators, which recognize; they are read at the first use."""
        return Recognizer(self.path, **self._choice)

    @cached_property
    def synthesizer(self) -> Synthesizer:
        """The generators, which synthesize; they are read at the first use."""
        return Synthesizer(self.path, **self._choice)

    def recognize(
        self,
        onset: Picture | FrameSource,
        apex: Picture | None = None,
        *,
        onset_frame: int | str = "first",
        fps: float | None = None,
        register: str = "rigid",
        cropped: bool = False,
    ) -> Recognition:
        """Recognize the expression of an onset/apex pair or of a clip, see ``Recognizer.recognize``."""
        return self.recognizer.recognize(
            onset, apex, onset_frame=onset_frame, fps=fps, register=register, cropped=cropped
        )

    def recognize_events(
        self,
        recording: AnyPath | Array | FrameSource,
        *,
        fps: float | None = None,
        register: str = "rigid",
        trace: AnyPath | None = None,
        progress: bool = False,
    ) -> RecordingResult:
        """Recognize the expressions in a long recording, see ``Recognizer.recognize_events``."""
        return self.recognizer.recognize_events(recording, fps=fps, register=register, trace=trace, progress=progress)

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
        """Synthesize a neutral face with an expression, see ``Synthesizer.synthesize``."""
        return self.synthesizer.synthesize(
            face, expression, intensity=intensity, seed=seed, face_number=face_number, cropped=cropped
        )


def get_config(name: str) -> ConfigDict:
    """Return one of the configs that are installed with the package, such as "demo", "loso" or "loso_pair".

    "baselines:ststnet" is the config of a compared system. A field that the config does not have cannot be set.

    Raises:
        UserError: There is no config of that name.
    """
    names = sorted(path.stem for path in CONFIGS_DIR.glob("[a-z]*.py"))
    file, *method = name.split(":", 1)
    if file not in names:
        hint = did_you_mean(name, names)
        raise UserError(f"config {name!r}: there is none of that name{hint}; give one of {', '.join(names)}")
    return load_config(":".join((str(CONFIGS_DIR / f"{file}.py"), *method)))


def train_and_evaluate(
    config: ConfigDict | str, workdir: AnyPath, *, force_resume: bool = False, progress: bool = False
) -> dict[str, Any]:
    """Train and evaluate every fold of a run, or resume the run.

    Args:
        config: a config, or the name of one, see ``get_config``. With an empty ``config.data.dir`` procedural faces are
            drawn and prepared first.
        workdir: the directory of the run; made if needed. Finished folds in it are kept.
        force_resume: resume although settings, code or packages changed in a way that cannot change the results.
        progress: print what the command prints: the progress, warnings and the scores.

    Returns:
        The content of results.json.

    Raises:
        UserError: The config, the data or the run directory is wrong.
        OSError: A file cannot be written.
    """
    # The training loop imports TFDS, Grain and Matplotlib, which a prediction does not need.
    from icegan_jax import train

    if isinstance(config, str):
        config = get_config(config)
    with contextlib.ExitStack() as stack:
        if not progress:
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(io.StringIO()))
        return train.train_and_evaluate(config, workdir, force_resume=force_resume)
