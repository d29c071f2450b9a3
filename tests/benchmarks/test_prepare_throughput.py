"""What the benchmark measures on, and how it says so; never how fast anything is."""

from pathlib import Path

from benchmarks import prepare_throughput as benchmark
from icegan_jax.data.video import list_frames, read_frames


def test_a_clip_is_the_short_one_back_and_forth(tmp_path: Path) -> None:
    source = tmp_path / "source"
    width, height = benchmark.write_source(None, source, 0.5)
    assert list_frames(source) == list(range(25))
    frames = [image for _, image in read_frames(source, range(25))]
    assert frames[0].shape == (height, width) == (140, 120)

    benchmark.write_clip(source, tmp_path / "60", 60)
    played = [image for _, image in read_frames(tmp_path / "60", range(60))]
    for position, frame in ((0, 0), (24, 24), (25, 23), (47, 1), (48, 0), (49, 1), (59, 11)):
        assert (played[position] == frames[frame]).all()


def test_the_table_names_machine_date_and_command() -> None:
    result = {
        "date": "2026-11-22T18:13:44+00:00",
        "machine": {"cpu": "A CPU", "cores": 2, "load": 0.5, "system": "Linux"},
        "command": "python -m benchmarks.prepare_throughput --scale=2",
        "frame_pixels": [480, 560],
        "crop_pixels": 128,
        "parts_frames_per_second": {"register": 219.6},
        "together": [{"workers": 2, "frames": 800, "seconds": 4.0, "cpu_seconds": 7.5, "frames_per_second": 200.0}],
        "peak_memory_mib": [{"frames": 400, "mib": 225.1}],
    }
    table = benchmark._table(result).splitlines()
    assert table[:3] == [
        "A CPU, 2 cores (load 0.5 before), Linux; 2026-11-22T18:13:44+00:00",
        "`python -m benchmarks.prepare_throughput --scale=2`",
        "frames of 480x560, crops of 128x128",
    ]
    for row in ("| register | 219.6 |", "| 2 | 800 | 4 | 7.5 | 200 |", "| 400 | 225.1 |"):
        assert row in table
