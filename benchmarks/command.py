"""The command line shared by all benchmarks: errors of options, description of the machine, and printed results."""

import argparse
import contextlib
import json
import multiprocessing
import os
import platform
import resource
import shlex
import sys
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Any

from icegan_jax.cli import ArgumentParser, run_command

Result = dict[str, Any]


def create_parser(name: str, description: str | None) -> ArgumentParser:
    """Return the parser of the benchmark ``benchmarks.NAME``, with the option --json."""
    parser = ArgumentParser(prog=f"python -m benchmarks.{name}", description=description)
    parser.add_argument("--json", action="store_true", help="prints one line of JSON")
    return parser


def run_benchmark(
    parser: ArgumentParser,
    measure: Callable[[argparse.Namespace], Result],
    table: Callable[[Result], str],
    argv: Sequence[str] | None,
) -> int:
    """Measure and print a table or, with --json, one line of JSON.

    Args:
        parser: parser of the benchmark's options.
        measure: returns the result for the parsed options; ``machine``, ``date`` and ``command`` are added to the
            result.
        table: formats the result as text.
        argv: the options; None for those of the process.

    Returns:
        The exit code: 0, or 2 for invalid input.
    """
    argv = sys.argv[1:] if argv is None else list(argv)
    description = {"date": timestamp(), "command": command_line(parser.prog, argv)}
    args = parser.parse_args(argv)

    def run() -> None:
        host = describe_host()  # before the measurement, whose load would count
        result = measure(args)
        result["machine"] = host | result.pop("machine", {})
        result.update(description)
        print(json.dumps(result) if args.json else f"{heading(result)}\n\n{table(result)}")

    return run_command(run)


def heading(result: Result) -> str:
    """Return the machine, date, command and versions of a result, printed above the table."""
    machine = result["machine"]
    devices = f", {machine['devices']} x {machine['device']}" if "device" in machine else ""
    return (
        f"{machine['cpu']}, {machine['cores']} cores (load {machine['load']:g} before){devices}, "
        f"{machine['system']}; {result['date']}\n`{result['command']}`\n"
        + ", ".join(f"{name} {version}" for name, version in result["versions"].items())
    )


def run_in_new_process(function: Callable[..., Any], *arguments: object) -> Any:
    """Call in a new process and return the result, as the peak memory of a process includes all earlier work."""
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
        return pool.submit(function, *arguments).result()


def command_line(prog: str, argv: Sequence[str]) -> str:
    """Return the command that a user types in the repository's root, such as ``python -m benchmarks.soak --json``."""
    return shlex.join([*prog.split(), *argv])


def timestamp() -> str:
    """Return the local time with its zone, to the second."""
    return datetime.now().astimezone().isoformat(timespec="seconds")


def describe_host() -> Result:
    """Describe the machine without its accelerator; ``load`` is the load average of the last minute."""
    return {
        "cpu": cpu_model(),
        "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
        "system": platform.platform(),
    }


def cpu_model() -> str:
    """Return the name of the CPU."""
    with contextlib.suppress(OSError, StopIteration):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    return platform.processor() or platform.machine()


def versions(*packages: str) -> dict[str, str]:
    """Return the versions of Python and of the packages."""
    return {"python": platform.python_version(), **{name: metadata.version(name) for name in packages}}


def peak_rss_gib() -> float:
    """Return the peak resident memory of this process in GiB."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak / 2 ** (30 if sys.platform == "darwin" else 20)


def markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Format a table in Markdown, with at most four significant digits per number."""
    lines = [header, ["---"] * len(header), *([_cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _cell(value: object) -> str:
    if isinstance(value, float):
        return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4g}"
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
