import pytest

from icegan_jax.cli import ArgumentParser


def parser() -> ArgumentParser:
    made = ArgumentParser(
        prog="python -m icegan_jax.some", description="What it does.", epilog="examples:\n  one\n  two\n"
    )
    made.add_argument("run")
    made.add_argument("--frames", type=int)
    made.add_argument("--only", choices=("a", "b"))
    return made


@pytest.mark.parametrize(
    "argv,words",
    [
        ([], "the following arguments are required: run"),
        (["run", "--frames=many"], "argument --frames: invalid int value: 'many'"),
        (["run", "--frame=3"], "unrecognized arguments: --frame=3"),
        (["run", "more\nlines"], "unrecognized arguments: more\\nlines"),
        (["run", "--only=c"], "argument --only: invalid choice: 'c'"),
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
