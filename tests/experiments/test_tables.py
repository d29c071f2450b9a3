"""The tables' rows, made from runs whose training is replaced by known predictions."""

import csv
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

from experiments import (
    apex_against_pair,
    augmentation_against_gan,
    honest_selection,
    resting_share,
    table1_cde,
    table2_sde,
    table3_generator,
    table4_discriminator,
)
from experiments.shared import runs, systems
from experiments.shared.options import Options, run_command
from icegan_jax.errors import UserError
from icegan_jax.evaluation.metrics import confusion
from icegan_jax.evaluation.predictions import read_predictions
from icegan_jax.evaluation.score_table import ORACLE_NAME
from icegan_jax.io import read_json, write_json_with_checksum
from tests.experiments import fabricated_runs

DATA = ["--data=DATA", "--seeds=2"]


def run(
    module: ModuleType,
    out: Path,
    monkeypatch: pytest.MonkeyPatch,
    wrong: Mapping[object, int] | None = None,
    field: str = "",
) -> tuple[list[dict[str, str]], list[tuple]]:
    """The rows of the table, and what was trained; ``wrong``: missed clips by the value of ``field``."""
    asked: list[tuple] = []
    missed = wrong or {}
    train = fabricated_runs.training(lambda fields, _: missed.get(fields.get(field), 0), out / "made_up", asked)
    monkeypatch.setattr(runs, "train_run", train)
    assert run_command(module.main, [*DATA, f"--out={out}"]) == 0
    (folder,) = (path.parent for path in out.glob("*/table.csv"))
    assert (folder / "table.md").stat().st_size
    return list(csv.DictReader((folder / "table.csv").read_text().splitlines())), asked


def test_table_1_scores_every_system_in_all_and_each_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    argv = [*DATA, f"--out={tmp_path}", "--method=icegan", "--method=ststnet", "--method=lbp_top"]
    asked: list[tuple] = []
    train = fabricated_runs.training(lambda fields, _: 12 if "method" in fields else 2, tmp_path / "made_up", asked)

    def refuse_lbp_top(options: Options, seed: int, fields: Mapping[str, object], data: str) -> Path:
        if fields.get("method") == "lbp_top":
            raise UserError("d0: no frames between onset and apex")
        return train(options, seed, fields, data)

    monkeypatch.setattr(runs, "train_run", refuse_lbp_top)
    monkeypatch.setattr(systems, "parameters", lambda *_: 1000)
    assert run_command(table1_cde.main, argv) == 0
    assert [fields for _, fields, _ in asked] == [{"method": "ststnet"}] * 2 + [{"model.recognition_input": "apex"}] * 2
    folder = tmp_path / "table1_cde"
    rows = list(csv.DictReader((folder / "table.csv").read_text().splitlines()))
    assert {row["part"] for row in rows} == {"all", "d0", "d1"}
    of = {row["system"]: row for row in rows if row["part"] == "all"}
    assert set(systems.TITLES.values()) < set(of)
    ststnet, icegan = of["STSTNet"], of["ICE-GAN, apex (the paper)"]
    assert (
        ststnet["paper"] == "UF1 0.735, UAR 0.760" and "UAR 0.719 (last epoch, pooled, true" in ststnet["run_by_others"]
    )
    assert ststnet["published"] == "UF1 0.735, UAR 0.760 (last epoch, pooled; the UAR is a precision)"
    assert (ststnet["parameters"], icegan["parameters"]) == ("1683", "1000")
    assert float(ststnet["uf1"]) == 0 and ststnet["differs"] == "worse" and float(ststnet["minutes"]) > 0
    assert of["ME-Recognizer (EMR)"]["paper"] and of["ME-Recognizer (EMR)"]["uf1"] == ""  # not run
    assert float(of["always the most frequent class"]["uf1"]) == pytest.approx(1 / 6)
    text = (folder / "table.md").read_text()
    assert "LBP-TOP + SVM was not run: d0: no frames" in text and "macro precision" in text
    pairs = list(csv.DictReader((folder / "differences.csv").read_text().splitlines()))
    assert [(row["part"], row["first"], row["first_is"]) for row in pairs][0] == ("all", "STSTNet", "worse")
    assert (pairs[0]["only_first_right"], pairs[0]["only_second_right"]) == ("0", "10")
    assert float(pairs[0]["mcnemar_p"]) == pytest.approx(2 / 2**10)
    assert "<td>STSTNet</td>" in (folder / "differences.html").read_text()


def test_table_2_trains_within_each_database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple] = []
    monkeypatch.setattr(runs, "train_run", fabricated_runs.training(lambda *_: 0, tmp_path / "made_up", asked))
    argv = [*DATA, f"--out={tmp_path}", "--database=casme2", "--database=samm", "--method=icegan"]
    assert run_command(table2_sde.main, argv) == 0
    assert [fields["data.database"] for _, fields, _ in asked] == ["casme2", "casme2", "samm", "samm"]
    text = (tmp_path / "table2_sde" / "table.md").read_text()
    assert "F1 0.539 (five classes, selection not stated)" in text and "mixes tasks" in text


def test_table_3_varies_one_field_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table3_generator, "l1_to_apex", lambda runs: {"l1": 1.5, "l1_of_onset": 2.5})
    rows, asked = run(table3_generator, tmp_path, monkeypatch, {"skips": 3}, "generator.kind")
    assert [row["model"] for row in rows] == ["A", "B", "C", "D", "E", "F", "F, motion"]
    kinds = ["none", "dcgan", "encoder_decoder", "skips", "se", "grm", "grm"]
    assert [fields["generator.kind"] for _, fields, _ in asked[::2]] == kinds
    assert [fields["generator.motion"] for _, fields, _ in asked[::2]] == [False] * 6 + [True]
    assert {fields["protocol"] for _, fields, _ in asked} == {"split"}
    assert float(rows[3]["uf1"]) == pytest.approx(0.75) and float(rows[5]["uf1"]) == 1
    assert rows[0]["l1"] == "" and rows[1]["l1"] == "1.5"
    assert rows[5]["paper"] == "UAR 0.761, UF1 0.769" and rows[6]["paper"] == ""
    text = (tmp_path / "table3_generator" / "table.md").read_text()
    assert "D against C: UF1 -0.250" in text and "worse" in text
    assert "F against D: UF1 +0.250" in text


def test_table_4_enlarges_the_cnn_to_the_capsules_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(table4_discriminator, "load_pairs", lambda _: SimpleNamespace(classes=("a", "b", "c", "d")))
    rows, asked = run(table4_discriminator, tmp_path, monkeypatch)
    size = {row["discriminator"]: int(row["parameters"]) for row in rows}
    assert abs(size["D_CNN enlarged"] - size["D_CE, d_exp 32"]) <= 0.02 * size["D_CE, d_exp 32"]
    assert rows[4]["paper"] == "UAR 0.761, UF1 0.769, size 86.4 MB" and all(row["paper"] for row in rows)
    assert size["D_CNN"] < size["D_CNN enlarged"]
    dimensions = [size[f"D_CE, d_exp {d}"] for d in (8, 16, 32, 64, 128)]
    assert dimensions == sorted(dimensions)
    assert asked[2][1]["discriminator.kind"] == "cnn" and asked[2][1]["discriminator.cnn_width"] > 1


def test_resting_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resting_share, "movement_rows", lambda share, runs: [{"resting_share": share}])
    rows, asked = run(resting_share, tmp_path, monkeypatch, {0.25: 6}, "training.resting_share")
    assert [fields["training.resting_share"] for _, fields, _ in asked] == [0.0, 0.0, 0.25, 0.25]
    assert "with resting pairs against without: UF1 -0.500" in (tmp_path / "resting_share" / "table.md").read_text()
    for row in rows:
        assert (row["resting"], row["expression"]) == ("0.11, 0.21, 0.31", "0.30, 0.30, 0.30")
        assert float(row["missed"]) == 1.0 and float(row["separation"]) == pytest.approx(10 / 12)


def test_smaller_movements_are_answered_by_the_network_that_held_the_clip_out(
    run_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, rows = read_predictions(run_dir / "predictions.csv")
    counts = resting_share.confusion_by_movement(run_dir)
    whole, *_, none = counts
    assert whole.tolist() == confusion([row.label for row in rows], [row.prediction for row in rows]).tolist()
    assert none.sum(axis=1).tolist() == whole.sum(axis=1).tolist()
    monkeypatch.setattr(resting_share, "confusion_by_movement", lambda run: counts)
    first = resting_share.movement_rows(0.25, [run_dir])[0]
    assert first["uf1"] == pytest.approx(read_json(run_dir / "results.json")["overall"]["uf1"], abs=1e-6)


def test_apex_against_pair(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, _ = run(apex_against_pair, tmp_path, monkeypatch, {"apex": 6}, "model.recognition_input")
    assert [(row["input"], float(row["uf1"])) for row in rows] == [("apex", 0.5), ("pair", 1.0)]
    assert "pair against apex: UF1 +0.500" in (tmp_path / "apex_against_pair" / "table.md").read_text()


def test_augmentation_rows_differ_in_their_fields(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rows, asked = run(augmentation_against_gan, tmp_path, monkeypatch)
    assert len(rows) == 5
    fields = [tuple(sorted(fields.items())) for _, fields, _ in asked[::2]]
    assert len(set(fields)) == 5


def test_the_three_rules_and_the_guessers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = {"last": (0.5, 0.6), "inner": (0.55, 0.65), ORACLE_NAME: (0.9, 0.95)}

    def train(options: object, seed: int, fields: Mapping[str, object], data: str) -> Path:
        assert fields["evaluation.oracle"] and fields["training.evaluate_every"]
        made = fabricated_runs.write_run(tmp_path / f"run{seed}", 0, "inner validation")
        results = read_json(made / "results.json")
        scored = {rule: results["overall"] | {"uf1": a + seed * 0.1, "uar": b} for rule, (a, b) in found.items()}
        write_json_with_checksum(made / "results.json", results | {"by_selection": scored})
        fabricated_runs.write_run(made / "folds" / "a", 6)  # the last step
        (made / "folds" / "a" / "evaluations.jsonl").write_text("{}\n" * 14)
        return made

    monkeypatch.setattr(runs, "train_run", train)
    assert run_command(honest_selection.main, [*DATA, f"--out={tmp_path}"]) == 0
    rows = list(csv.DictReader((tmp_path / "honest_selection" / "table.csv").read_text().splitlines()))
    assert [(row["rule"], row["valid"]) for row in rows] == [("last", "yes"), ("inner", "yes"), (ORACLE_NAME, "no")]
    assert [float(row["uf1"]) for row in rows] == pytest.approx([0.5, 1, 0.95])
    assert float(rows[0]["uf1_low"]) < 0.5 < float(rows[0]["uf1_high"]) and rows[2]["uf1_low"] == ""
    last, inner, best = (float(row["guess_uf1"]) for row in rows)
    assert last == inner and 0.25 < last < 0.42  # a guess among three classes
    assert best > last + 0.2  # 14 test evaluations of three clips each: nearly always one that fits
    assert "14 test evaluations" in (tmp_path / "honest_selection" / "table.md").read_text()
