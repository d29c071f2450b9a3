"""The page's server as a separate process, which reports every other host that it contacts."""

import os
import signal
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

# Python's audit events (PEP 578) name every connection and every name lookup of any library.
AUDIT_HOOK = """
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
TIMEOUT_S = 120


@dataclass(frozen=True)
class Server:
    """A running server.

    Attributes:
      address: the address of the page.
      folder: the temporary files of the server, and its output in the files ``out`` and ``err``.
      process: the server.
    """

    address: str
    folder: Path
    process: subprocess.Popen[bytes]

    def uploads(self) -> list[Path]:
        """Return the uploaded files that are not removed yet."""
        return [path for path in self.folder.glob("icegan-page-*/**/*") if path.is_file()]

    def output(self, stream: str) -> str:
        """Return the output so far; the stream is ``out`` or ``err``."""
        return (self.folder / stream).read_text()

    def stop(self) -> int:
        """Stop the server as Ctrl-C does; return the exit code."""
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(TIMEOUT_S)
        finally:
            self.process.kill()


def serve(run_dir: Path, folder: Path) -> Server:
    """Start a server in an empty folder and wait until it serves the page."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    arguments = [f"--workdir={run_dir}", f"--port={port}", "--compilation_cache=none"]
    environment = {**os.environ, "TMPDIR": str(folder)}
    with (folder / "out").open("wb") as out, (folder / "err").open("wb") as err:
        command = [sys.executable, "-c", AUDIT_HOOK + PAGE, *arguments]
        process = subprocess.Popen(command, stdout=out, stderr=err, cwd=folder, env=environment)
    server = Server(f"http://127.0.0.1:{port}/", folder, process)
    deadline = time.monotonic() + TIMEOUT_S
    while "page: " not in server.output("out"):
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise AssertionError(f"no page: {server.output('out')}{server.output('err')}")
        time.sleep(0.1)
    return server
