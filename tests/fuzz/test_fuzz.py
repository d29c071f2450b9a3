import os
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from icegan_jax.data import clips as package_clips
from icegan_jax.errors import UserError
from tests.fuzz import clips, harness, run
from tests.fuzz.harness import CaseResult, damage_bytes, run_case

CASES = 24  # a third of each kind; the command runs 1,000


@pytest.mark.parametrize("number", range(CASES))
def test_an_unusual_input_is_read_correctly_or_refused_in_one_line(number: int) -> None:
    assert run.run(number, seed=0).violations == []


def test_a_case_is_the_same_each_time() -> None:
    for number in range(8):
        one, other = run.run(number, seed=3), run.run(number, seed=3)
        assert (one.kind, one.outcome) == (other.kind, other.outcome)
    assert len({run.run(number, seed=number).kind for number in range(3)}) == 3


def test_damage_is_done() -> None:
    kinds = [damage_bytes(random.Random(seed), b"some content of a file") for seed in range(60)]
    assert len({kind for kind, _ in kinds}) == 7
    assert sum(data == b"some content of a file" for _, data in kinds) < 3


def test_each_violation_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def raising(error: BaseException) -> harness.Case:
        def broken(rng: random.Random, folder: Path, result: CaseResult) -> None:
            raise error

        return broken

    def endless(rng: random.Random, folder: Path, result: CaseResult) -> None:
        while True:
            sum(range(1000))

    def chatty(rng: random.Random, folder: Path, result: CaseResult) -> None:
        os.write(2, b"something from C")

    def two_lines(rng: random.Random, folder: Path, result: CaseResult) -> None:
        result.record_refusal(UserError("clips.csv: a", "b"), "clips.csv")

    def nameless(rng: random.Random, folder: Path, result: CaseResult) -> None:
        result.record_refusal(UserError("something is wrong"), "clips.csv")

    monkeypatch.setattr(harness, "LIMIT_S", 0.2)
    expected = {
        "ValueError: x": raising(ValueError("x")),
        "SystemExit": raising(SystemExit(0)),
        "refused where nothing": raising(UserError("clips.csv: bad")),
        "more than 0.2 s": endless,
        "prints 'something from C'": chatty,
        "not one line": two_lines,
        "names none of": nameless,
    }
    for words, broken in expected.items():
        result = run_case(broken, "0", tmp_path)
        assert result.outcome == "broken" and words in result.violations[0], words


def test_a_wrong_label_is_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    label_of = package_clips.label_of
    monkeypatch.setattr(package_clips, "label_of", lambda word, classes: (label_of(word, classes) + 1) % 3)
    actual = [run.run(3 * number, seed=0) for number in range(12)]
    assert any("was read as" in violation for result in actual for violation in result.violations)


def test_other_gray_levels_are_a_violation(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "PIL.ImageOps.exif_transpose", lambda image: Image.fromarray(255 - np.asarray(image.convert("L")))
    )
    actual = [run.run(3 * number + 1, seed=0) for number in range(30)]
    assert any("other gray levels" in violation for result in actual for violation in result.violations)


def test_the_command_prints_the_outcomes(capsys: pytest.CaptureFixture[str]) -> None:
    assert run.main(["--cases=3", "--seed=5"]) == 0
    assert capsys.readouterr().out.endswith("one line each:\n3 of 3\n")
    assert run.main(["--case=5"]) == 0
    assert capsys.readouterr().out.startswith("case 5: checkpoint: ")
    assert set(clips.WORDS.values()) == {0, 1, 2, None}
