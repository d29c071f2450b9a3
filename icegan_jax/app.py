"""Serve a page in the browser that recognizes micro-expressions and puts them on neutral faces.

python -m icegan_jax.app --workdir=RUN
"""

import argparse
import importlib.util
import sys
from collections.abc import Sequence

from icegan_jax.cli import ArgumentParser, add_run_options, run_command
from icegan_jax.compilation_cache import enable_compilation_cache
from icegan_jax.errors import UserError
from icegan_jax.inference.app.server import check_port_free, is_local, serve

LOCAL_HOST = "127.0.0.1"  # reachable from this computer only
DEFAULT_PORT = 7860  # the default of Gradio

EPILOG = """\
Open http://127.0.0.1:7860. Press an example, upload a neutral face and the same face with an expression, or upload or
record a clip: the page shows the predicted class, the length of each capsule, onset and apex with their difference, and
the quality flags. Or upload a neutral face: the page puts each expression on the face, at the intensity of the slider.

Only this computer can open the page, unless --host says otherwise. Uploaded files lie in a temporary folder and are
removed when their tab is closed, at the latest with the page; nothing is sent anywhere. A prediction is no proof of a
feeling, and the page is no lie detector; use pictures of people who agreed.

The page needs gradio: uv sync --extra app, or pip install -c constraints.txt gradio.

exit code: 0 closed by Ctrl-C; 2 bad input, in one line.
"""


def make_parser() -> ArgumentParser:
    """Return the parser of the command."""
    parser = ArgumentParser(prog="python -m icegan_jax.app", description=__doc__.splitlines()[0], epilog=EPILOG)
    add_run_options(parser)
    group = parser.add_argument_group("where to listen")
    text = f"address (default: {LOCAL_HOST}, this computer only); 0.0.0.0 admits everybody on the network"
    group.add_argument("--host", default=LOCAL_HOST, metavar="ADDRESS", help=text)
    group.add_argument("--port", default=DEFAULT_PORT, type=_port, metavar="N", help=f"port (default: {DEFAULT_PORT})")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; return the exit code, see --help."""
    return run_command(lambda: _run(make_parser().parse_args(argv)))


def _run(args: argparse.Namespace) -> None:
    check_port_free(args.host, args.port)
    if importlib.util.find_spec("gradio") is None:
        raise UserError("the page needs gradio; install it with: uv sync --extra app")
    if not is_local(args.host):
        text = "anybody on the network can open the page and upload faces, without a password"
        print(f"warning: --host={args.host}: {text}", file=sys.stderr)
    enable_compilation_cache(args.compilation_cache)
    serve(args.workdir, args.fold, args.exclude_subject, args.host, args.port)


def _port(text: str) -> int:
    if text.isascii() and text.isdigit() and 0 < int(text) < 65536:
        return int(text)
    raise argparse.ArgumentTypeError(f"{text!r} is no port; give 1 to 65535")


if __name__ == "__main__":
    sys.exit(main())
