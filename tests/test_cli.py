import pytest

from icegan_jax.cli import ArgumentParser, expand_home


def parser() -> ArgumentParser:
    made = ArgumentParser(
        prog="python -m icegan_jax.some", description="What it does.", epilog="examples:\n  one\n  two\n"
    )
    made.add_argument("run")
    made.add_argument("--frames", type=int)
    made.add_argument("--only", choices=("grey", "color"))
    return made


@pytest.mark.parametrize(
    "argv,words",
    [
        ([], "the following arguments are required: run"),
        (["--fames=3"], "unrecognized arguments: --fames=3 (did you mean --frames?)"),
        (["run", "--frames=many"], "argument --frames: invalid int value: 'many'"),
        (["run", "--frame=3"], "unrecognized arguments: --frame=3 (did you mean --frames?)"),
        (["run", "more\nlines"], "unrecognized arguments: more\\nlines"),
        (
            ["run", "--only=gray"],
            "argument --only: invalid choice: 'gray' (did you mean grey?); use one of grey, color",
        ),
    ],
)
def test_a_wrong_option_is_one_line(argv, words, capsys):
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(argv)
    printed = capsys.readouterr()
    assert ended.value.code == 2 and printed.out == ""
    assert printed.err.startswith(f"error: {words}") and printed.err.endswith("; see --help\n")
    assert printed.err.count("\n") == 1


def test_help_keeps_its_lines(capsys):
    with pytest.raises(SystemExit) as ended:
        parser().parse_args(["--help"])
    assert ended.value.code == 0
    assert "examples:\n  one\n  two\n" in capsys.readouterr().out


def test_a_leading_tilde_is_the_home_directory(monkeypatch):
    monkeypatch.setenv("HOME", "/users/anna")
    arguments = ["--out=~/x", "~/a.mp4", "~", "--config.data.dir=~/d", "--input=a~/b", "~bob/x", "b~"]
    assert expand_home(arguments) == [
        "--out=/users/anna/x",
        "/users/anna/a.mp4",
        "/users/anna",
        "--config.data.dir=/users/anna/d",
        *arguments[4:],
    ]
    assert parser().parse_args(["~/run"]).run == "/users/anna/run"
