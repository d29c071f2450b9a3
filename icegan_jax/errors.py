"""The one exception that means: the input is wrong, and the user can put it right."""


class UserError(Exception):
    """Bad input. The message is one line that names the file or field and the remedy; a list may follow in lines.

    Names from data may hold line breaks and control characters: they are shown as Python writes them.
    Commands print it as ``error: <message>`` on stderr and exit with code 2.
    """

    def __init__(self, message: str, *lines: str) -> None:
        super().__init__("\n".join(map(_printable, (message, *lines))))


def _printable(line: str) -> str:
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in line)
