import csv

from icegan_jax.evaluation import score_table
from icegan_jax.evaluation.predictions import Prediction
from icegan_jax.evaluation.results import Timing, build_results, score


def results(datasets=("casme2", "samm"), **fields):
    predictions = [
        Prediction(name, subject, f"{label}", label, (label + (subject == "2")) % 3, (0.1, 0.2, 0.3))
        for name in datasets
        for subject in ("1", "2", "3")
        for label in range(3)
    ]
    return build_results(
        predictions,
        protocol="LOSO",
        selection="last step",
        seed=0,
        timing=Timing(1.0, 1.0, 1.0, 1.0),
        versions={},
        data_fingerprint="",
        **fields,
    )


def test_rows_in_order():
    reference = score([0, 1, 2], [0, 1, 1], ["a", "b", "c"])
    rows = score_table.score_rows(
        results(references={"linear_on_apex_pixels": reference}, oracle={"uf1": 0.9, "uar": 0.8})
    )
    assert [row.name for row in rows] == [
        "overall",
        "casme2",
        "samm",
        "always negative",
        "prior random",
        "always negative, casme2",
        "prior random, casme2",
        "always negative, samm",
        "prior random, samm",
        "linear on apex pixels",
        "best test epoch (not a valid score)",
    ]
    assert [row.clips for row in rows[:3]] == [18, 9, 9]
    assert rows[-1].section == "oracle" and rows[-1].uf1 == 0.9
    assert rows[-2].clips == 3


def test_one_database_repeats_no_floors():
    names = [row.name for row in score_table.score_rows(results(datasets=("samm",)))]
    assert names == ["overall", "samm", "always negative", "prior random"]


def test_text_is_aligned():
    rows = score_table.score_rows(results(oracle={"uf1": 0.9, "uar": 0.8}))
    lines = score_table.format_table(rows).splitlines()
    overall = next(line for line in lines if line.startswith("overall"))
    low, high = rows[0].uf1_interval
    assert f"{rows[0].uf1:.3f} [{low:.3f}, {high:.3f}]" in overall
    assert overall.endswith(f"{rows[0].accuracy:.3f}")
    assert lines[0].index("UF1") == overall.index(f"{rows[0].uf1:.3f}")
    assert lines[0].index("UAR") == overall.rindex(f"{rows[0].uar:.3f} [")
    assert len(lines[0]) == len(lines[1]) == len(overall)
    assert lines[-2] == "" and "not a valid score" in lines[-1]  # apart from the honest rows


def test_text_holds_names_that_would_move_the_cursor():
    rows = score_table.score_rows(results(datasets=("a\x1b[2J", "b")))
    assert "\x1b" not in score_table.format_table(rows)


def test_csv_has_every_number(tmp_path):
    rows = score_table.score_rows(results())
    path = tmp_path / "report" / "scores.csv"
    score_table.write_scores_csv(path, rows)
    with path.open(newline="") as file:
        read = list(csv.DictReader(file))
    assert [line["name"] for line in read] == [row.name for row in rows]
    assert float(read[0]["uf1_low"]) == round(rows[0].uf1_interval[0], 6)
    assert read[3]["section"] == "floor" and read[3]["uf1_low"] == read[3]["accuracy"] == ""
