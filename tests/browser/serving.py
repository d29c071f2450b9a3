"""The page's server as a process of its own, which tells of every other host that it would talk to."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Python's audit events (PEP 578) name every connection and every name that is looked up, whichever library asks.
GUARD = """
import sys

def hear(event, arguments):
    if event == "socket.connect" and isinstance(arguments[1], tuple) and arguments[1][0] != "127.0.0.1":
        print("CONTACTED", arguments[1], file=sys.stderr)
    if event == "socket.getaddrinfo" and arguments[0] not in ("127.0.0.1", b"127.0.0.1", None):
        print("LOOKED UP", arguments[0], file=sys.stderr)

sys.addaudithook(hear)
"""
PAGE = """
from icegan_jax import app

sys.exit(app.main(sys.argv[1:]))
"""
PATIENCE_S = 120


@dataclass(frozen=True)
class Server:
    """A server that runs.

    Attributes:
      address: of the page.
      folder: its temporary files, and what it printed: ``out`` and ``err``.
      process: itself.
    """

    address: str
    folder: Path
    process: subprocess.Popen[bytes]

    def uploads(self) -> list[Path]:
        """The files that were put in and are still there."""
        return [path for path in self.folder.glob("icegan-page-*/**/*") if path.is_file()]

    def said(self, stream: str) -> str:
        """What it printed so far, to ``out`` or ``err``."""
        return (self.folder / stream).read_text()

    def end(self) -> int:
        """Ends it as Ctrl-C does; returns the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(PATIENCE_S)
        finally:
            self.process.kill()


def serve(run_dir: Path, folder: Path) -> Server:
    """Starts it in an empty folder and waits until the page is there."""
    with socket.socket() as door:
        door.bind(("127.0.0.1", 0))
        port = door.getsockname()[1]
    arguments = [f"--workdir={run_dir}", f"--port={port}", "--compilation_cache=none"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        command = [sys.executable, "-c", GUARD + PAGE, *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=environment)
    server = Server(f"http://127.0.0.1:{port}/", folder, process)
    end = time.monotonic() + PATIENCE_S
    while "page: " not in server.said("out"):
        if process.poll() is not None or time.monotonic() > end:
            process.kill()
            raise AssertionError(f"no page: {server.said('out')}{server.said('err')}")
        time.sleep(0.1)
    return server
