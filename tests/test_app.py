"""The command line of the page; what it serves is tested in tests/browser."""

import socket
import sys
from pathlib import Path

import pytest

from icegan_jax import app
from icegan_jax.inference.app.server import is_local


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> str:
    assert app.main(["--workdir=nowhere", *arguments]) == 2
    out, err = capsys.readouterr()
    assert out == "" and err.startswith("error: ") and err.count("\n") == 1
    return err


def free_port() -> int:
    with socket.socket() as door:
        door.bind((app.LOCAL_HOST, 0))
        return int(door.getsockname()[1])


def test_without_gradio(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "gradio", None)
    message = refused(capsys, f"--port={free_port()}")
    assert message == "error: the page needs gradio; install it with: uv sync --extra app\n"


def test_a_port_in_use(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as door:
        door.bind((app.LOCAL_HOST, 0))
        door.listen()
        port = door.getsockname()[1]
        message = refused(capsys, f"--port={port}")
    assert f"--host=127.0.0.1 --port={port}: nothing can listen there (Address already in use)" in message


def test_an_address_of_another_computer(capsys: pytest.CaptureFixture[str]) -> None:
    assert "--host=192.0.2.1" in refused(capsys, "--host=192.0.2.1", "--port=7860")  # RFC 5737: nobody's


@pytest.mark.parametrize("port", ["0", "65536", "x"])
def test_no_port(port: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        app.main(["--workdir=nowhere", f"--port={port}"])
    assert ended.value.code == 2
    assert f"'{port}' is no port; give 1 to 65535; see --help" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("host", "local"), [("127.0.0.2", True), ("::1", True), ("localhost", True), ("0.0.0.0", False), ("example", False)]
)
def test_who_can_reach_it(host: str, local: bool) -> None:
    assert is_local(host) is local


def test_a_warning_where_others_can_reach_it(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    served = []
    monkeypatch.setattr(app, "serve", lambda *arguments: served.append(arguments))
    port = free_port()
    where = [f"--workdir={tmp_path}", f"--port={port}"]
    for host, warned in ((app.LOCAL_HOST, False), ("0.0.0.0", True)):
        assert app.main([*where, f"--host={host}", "--exclude_subject=anna"]) == 0
        err = capsys.readouterr().err
        assert ("warning: --host=0.0.0.0: anybody on the network can open the page" in err) is warned
        assert served.pop() == (tmp_path, None, "anna", host, port)
