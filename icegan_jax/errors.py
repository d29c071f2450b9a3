"""The one exception that means: the input is wrong, and the user can put it right."""


class UserError(Exception):
    """Bad input. The message is one line that names the file or field and the remedy.

    Commands print it as ``error: <message>`` on stderr and exit with code 2.
    """
