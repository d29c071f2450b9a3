"""Rules that say how the tests run each command of the documentation, and how that differs from a user's run.

A command runs in this process, with the words of the page. ``uv run``, environment variables and launchers in front of
the program are removed, and RUN is runs/mine; the options of a rule follow the page's own.
"""

import functools
import importlib
import importlib.util
import re
import runpy
import shutil
import sys
import time
import tomllib
import types
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import pytest

from benchmarks import machine, soak, step_time
from benchmarks.sampling import Sample
from configs import demo, loso
from experiments.shared import runs
from icegan_jax import main as main_job
from icegan_jax.data import crop, landmarks
from icegan_jax.data.databases import READERS
from icegan_jax.data.ingest import discover
from icegan_jax.training.distributed import Processes
from tests.benchmarks import tiny_workload
from tests.damage.runs import config_of
from tests.docs.fixtures import SIZE
from tests.docs.pages import ROOT, fenced
from tests.experiments import fabricated_runs
from tests.in_process import run_main
from tests.inference.recordings import astronaut
from tests.interruption import run as kills
from tests.interruption.kill_and_resume import Timing
from tests.test_app import free_port

Patch = pytest.MonkeyPatch
Runner = Callable[[Sequence[str], Patch], int]


@dataclass(frozen=True)
class Rule:
    """How the commands of a kind are run.

    Attributes:
        of: a regular expression for the start of the command, from the program on.
        run: takes the command's words followed by ``add``, and returns the exit code.
        why: how the run differs from a user's; empty where both are the same.
        add: options that follow and override those of the page.
        code: the exit code that the page gives.
    """

    of: str
    run: Runner
    why: str = ""
    add: tuple[str, ...] = ()
    code: int = 0


def program_of(words: Sequence[str]) -> list[str]:
    """Return the command without environment variables, launcher and ``uv run``."""
    rest = [re.sub(r"\bRUN\b", "runs/mine", word) for word in words]
    while re.fullmatch(r"[A-Z_]+=.*", rest[0]):
        rest = rest[1:]
    if rest[0] in ("srun", "mpirun"):
        rest = rest[rest.index("python") :]
    if rest[:2] == ["uv", "run"]:
        rest = rest[2:]
        if rest[:1] == ["--extra"]:
            assert rest[1] in _extras(), f"pyproject.toml has no extra {rest[1]}"
            rest = rest[2:]
    return rest


def module(words: Sequence[str], patch: Patch) -> int:
    """``python -m NAME OPTIONS``."""
    assert words[:2] == ["python", "-m"], words
    return int(importlib.import_module(words[2]).main(words[3:]) or 0)


def script(words: Sequence[str], patch: Patch) -> int:
    """``python FILE OPTIONS``, as the interpreter runs it."""
    patch.setattr(sys, "argv", list(words[1:]))
    patch.setattr(sys, "path", list(sys.path))
    try:
        runpy.run_path(words[1], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def training(words: Sequence[str], patch: Patch) -> int:
    """``python -m icegan_jax.main OPTIONS``."""
    return run_main(words[3:])


def _small_training(words: Sequence[str], patch: Patch) -> int:
    """Train, or copy a finished run with the same fields: networks are trained once."""
    workdir = Path(next(word for word in words if word.startswith("--workdir=")).removeprefix("--workdir="))
    finished = [
        path.parent for path in Path("runs").glob("*/results.json") if (path.parent / "predictions.csv").is_file()
    ]
    if finished and not workdir.exists() and not any(word.startswith("--config.protocol=") for word in words):
        shutil.copytree(finished[0], workdir)
    return training(words, patch)


def _one_of_two(words: Sequence[str], patch: Patch) -> int:
    started: list[Processes] = []
    patch.setattr(main_job, "train_and_evaluate", lambda config, workdir, processes, *_: started.append(processes))
    code = training(words, patch)
    assert [process.count for process in started] == [2]
    return code


def _printed_reader(words: Sequence[str], patch: Patch) -> int:
    """Run the command with the reader printed on the page registered in the package."""
    page = ROOT / "docs" / "add-a-database.md"
    (code,) = (match[2] for match in fenced(page.read_text(encoding="utf-8"), "python"))
    reader = types.ModuleType("demo")
    exec(compile(code, str(page), "exec"), reader.__dict__)
    patch.setitem(READERS, "demo", reader.__dict__["read"])
    for name in ("icegan_jax.data.ingest.discover", "icegan_jax.prepare"):
        patch.setattr(f"{name}.SOURCE_NAMES", (*discover.SOURCE_NAMES, "demo"))
    return module(words, patch)


def _databases(words: Sequence[str], patch: Patch) -> int:
    """Run the command with one face detection per picture: the frames of all clips are links to a few files."""
    detect = functools.cache(lambda data, shape: landmarks.find_face([_FRAMES[data]]))

    def find_face(frames: Any, *_: Any) -> Any:
        first = next(iter(frames))
        _FRAMES[first.tobytes()] = first
        return detect(first.tobytes(), first.shape)

    patch.setattr(crop, "find_face", find_face)
    return module(words, patch)


_FRAMES: dict[bytes, Any] = {}


def _searching(words: Sequence[str], patch: Patch) -> int:
    """Search the video and check that its one expression is found."""
    code = module(words, patch)
    (out,) = (Path(word.removeprefix("--out=")) for word in words if word.startswith("--out="))
    assert len((out / "predictions.csv").read_text().splitlines()) == 2
    return code


class _Camera:
    """A substitute for a camera, with 8 pictures, 50 a second."""

    remaining = 8

    def isOpened(self) -> bool:  # noqa: N802 (OpenCV's name)
        return True

    def read(self) -> tuple[bool, Any]:
        self.remaining -= 1
        time.sleep(0.02)
        return self.remaining >= 0, cv2.cvtColor(astronaut(), cv2.COLOR_GRAY2BGR)

    def release(self) -> None:
        pass


def _camera(words: Sequence[str], patch: Patch) -> int:
    patch.setattr(cv2, "VideoCapture", lambda index: _Camera())
    return module(words, patch)


def _app(words: Sequence[str], patch: Patch) -> int:
    pytest.importorskip("gradio")
    served: list[Path] = []
    patch.setattr("icegan_jax.app.serve", lambda run_dir, *_: served.append(run_dir))
    code = module([*words, f"--port={free_port()}"], patch)
    assert all((run_dir / "results.json").is_file() for run_dir in served) and served
    return code


def _tables(words: Sequence[str], patch: Patch) -> int:
    train = fabricated_runs.training(lambda *_: 3, Path("fabricated").absolute(), [])
    patch.setattr(runs, "train_run", train)
    patch.setattr("experiments.shared.faces.prepared_faces", lambda *_: "DATA")
    patch.setattr("experiments.shared.synthesis.l1_to_apex", lambda runs: {"l1": 1.5, "l1_of_onset": 2.5})
    patch.setattr(sys, "argv", list(words[2:]))
    patch.delitem(sys.modules, words[2], raising=False)  # imported again, the experiment sees what is patched here
    try:
        runpy.run_module(words[2], run_name="__main__")
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def _step(words: Sequence[str], patch: Patch) -> int:
    read: list[bool] = []
    patch.setattr(
        step_time, "run_benchmark", lambda parser, _, __, argv: read.append(bool(parser.parse_args(argv))) or 0
    )
    code = int(step_time.main(words[3:]))
    assert read == [True]
    return code


def _torch(words: Sequence[str], patch: Patch) -> int:
    config = tiny_workload.config()
    patch.setattr(demo, "get_config", config.copy_and_resolve_references)
    patch.setattr(machine, "_PRODUCTS", {"cpu": (64, 1)})
    return module(words, patch)


def _soak(words: Sequence[str], patch: Patch) -> int:
    def train(part: str, run_dir: Path, people: int, folds: int, steps: int) -> list[Sample]:
        (run_dir / "folds" / "a").mkdir(parents=True)
        ends = range(folds) if part == "folds" else [0] * (steps + 1)
        return [Sample(part, 1.0, step, fold, 100.0, 8, 30) for step, fold in enumerate(ends)]

    patch.setattr(soak, "_train", train)
    return module(words, patch)


def _kills(words: Sequence[str], patch: Patch) -> int:
    patch.setattr(kills, "run_uninterrupted", lambda *_: Timing(1, 1, 1, 1, 1))
    patch.setattr(kills, "kill_all", lambda wanted, *_: wanted)
    return module(words, patch)


def _installs(words: Sequence[str], patch: Patch) -> int:
    assert words[0] in ("pip", "uv")
    for option, value in zip(words, words[1:], strict=False):
        assert option not in ("-r", "-c") or Path(value).is_file()
        assert option != "--extra" or value in _extras()
    return 0


def _suite(words: Sequence[str], patch: Patch) -> int:
    assert all((ROOT / name).is_dir() for name in words[1:])
    return 0


def _golden(words: Sequence[str], patch: Patch) -> int:
    source = (ROOT / "tests" / "golden" / "__main__.py").read_text(encoding="utf-8")
    return 0 if all(f'"{word.partition("=")[0]}"' in source for word in words[3:]) else 2


def _reads_events(words: Sequence[str], patch: Patch) -> int:
    (folder,) = (word.removeprefix("--logdir=") for word in words[1:])
    return 0 if list(Path(folder).glob("*/events.out.tfevents.*")) else 1


def _extras() -> set[str]:
    return set(tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"])


def _tiny() -> tuple[str, ...]:
    """Return options for two steps of the tiny run of tests/damage, as differences from configs/loso.py."""
    usual, tiny = loso.get_config(), config_of(Path())
    tiny.training.update(steps=2, checkpoint_every=2, folds_per_device=1)
    tiny.evaluation.every = 0
    return tuple(
        f"--config.{group}.{name}={value}"
        for group in ("data", "model", "loss", "training", "evaluation")
        for name, value in tiny[group].items()
        if name != "dir" and value != usual[group][name]
    )


_MAIN = r"python -m icegan_jax\.main "
_PREPARE = r"python -m icegan_jax\.prepare "
_OF_MEGC = f"{_PREPARE}--source=(casme2|samm|smic|megc2019) "
_QUICK = (f"--size={SIZE}", "--workers=1")
_FABRICATED = (
    "fabricated databases of full size, whose clips show one small face: it is detected once, and not registered; "
)

_SMALL = (
    "two steps of tiny networks, whatever the config, so that one training serves all; without SLURM, MPI and GPUs: "
    "tests/test_many_devices.py checks their options"
)

RULES = (
    Rule(r"(pip|uv) ", _installs, "installs from the network, as .ci/run does; here the named files must exist"),
    Rule("pytest", _suite, "runs this suite, or a part of it"),
    Rule("(ruff|mypy|pre-commit)", lambda words, patch: 0, "checks the whole repository, as .ci/run does"),
    Rule(
        r"python -m tests\.golden ",
        _golden,
        "takes two minutes and faces that are not in the repository: reads its options",
    ),
    Rule(
        "tensorboard ",
        _reads_events,
        "TensorBoard is no dependency; tests/training/test_tensorboard.py reads the files",
    ),
    Rule(f"{_MAIN}.*--parameters", training),
    Rule(f"{_MAIN}.*--coordinator=", _one_of_two, "trains nothing: tests/test_main_several_processes.py starts both"),
    Rule(f"{_MAIN}(?!.*data.dir=)", _small_training, f"{_SMALL}; on DATA", (*_tiny(), "--config.data.dir=DATA")),
    Rule(_MAIN, _small_training, _SMALL, _tiny()),
    Rule(f"{_PREPARE}--source=procedural", module, "one drawn person", (*_QUICK, "--subjects=1", "--frames=6")),
    Rule(f"{_PREPARE}--source=clips", module, "small faces", _QUICK),
    Rule(f"{_PREPARE}--source=demo", _printed_reader, "a database of one clip", _QUICK),
    Rule(f"{_OF_MEGC}.*--check", _databases, _FABRICATED, (*_QUICK, "--register=none")),
    Rule(
        _OF_MEGC,
        _databases,
        f"{_FABRICATED}writes to another folder, since training on 442 clips takes too long",
        (*_QUICK, "--register=none", "--out=of_databases"),
    ),
    Rule(r"python -m icegan_jax\.report ", module),
    Rule(r"python -m icegan_jax\.predict .*--input=0 ", _camera, "a substitute for the camera, with 8 pictures"),
    Rule(r"python -m icegan_jax\.predict .*--input=interview\.mp4 ", _searching),
    Rule(r"python -m icegan_jax\.predict ", module),
    Rule(r"python -m icegan_jax\.synthesize ", module),
    Rule(r"python -m icegan_jax\.export ", module),
    Rule(r"python exported/load\.py ", script),
    Rule(r"python -m icegan_jax\.app ", _app, "on a free port; serves nothing: tests/browser/test_app.py does"),
    Rule(r"python -m icegan_jax\.compare ", module),
    Rule(r"python -m experiments\.guessing_study ", module, "20 guessers", ("--draws=20",)),
    Rule(r"python -m experiments\.apex_spotting ", module),
    Rule(
        r"python -m experiments\.event_spotting ",
        module,
        "nine seconds of one drawn person",
        ("--minutes=0.15", "--subjects=1", "--frames=14"),
    ),
    Rule(r"python -m experiments\.", _tables, "fabricated runs in place of the training, as in tests/experiments"),
    Rule(r"python -m benchmarks\.step_time ", _step, "reads its options: tests/benchmarks/test_step_time.py measures"),
    Rule(
        r"python -m benchmarks\.torch_baseline",
        _torch,
        "where PyTorch is not installed, as the page says, its error; else the small workload, one step",
        ("--config=demo", "--width=0.0625", "--steps=1", "--batch=3", "--folds=1", "--noagainst_jax"),
        code=2 if importlib.util.find_spec("torch") is None else 0,
    ),
    Rule(
        r"python -m benchmarks\.prepare_throughput",
        module,
        "one clip of 25 frames",
        ("--clips=1", "--lengths", "25", "--workers=1", "--scale=0.5"),
    ),
    Rule(r"python -m benchmarks\.soak ", _soak, "fabricated samples: tests/benchmarks/test_soak.py trains"),
    Rule(r"python -m tests\.interruption\.run", _kills, "kills nothing: tests/interruption/test_kills.py does"),
    Rule(r"python -m tests\.fuzz\.run", module, "four cases, of each kind one", ("--cases=4",)),
    Rule(r"python -m tests\.data\.fuzz\.run", module, "two cases", ("--cases=2",)),
)


def rule_of(text: str) -> Rule | None:
    """Return the first rule that matches a command."""
    return next((rule for rule in RULES if re.match(rule.of, text)), None)
