"""The errors that a user can act on, and exit codes; everything else that escapes is a bug.

| code | a run that |
|---|---|
| 0 | did what it was asked |
| 1 | met an error, which it said in one line |
| 2 | was called with wrong options |
| 75 | the watchdog ended, since it stood still; the same command goes on (EX_TEMPFAIL) |
| 130, 143 | SIGINT or SIGTERM ended after saving; the same command goes on |
"""

EXIT_STUCK = 75


class UserError(Exception):
    """Says in one line what is wrong, where (file, key, position) and what to do.

    `biobert` prints it after "error: " and exits with code 1, without a traceback.
    """


class Interrupted(UserError):
    """A run that a signal ended after saving; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code


def printable(text: str) -> str:
    """Text for a terminal: control characters and lone surrogates are written out, as \\x1b.

    Names of files and words of documents come from others: a raw escape sequence in one would be
    an order to the terminal.
    """
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else repr(c)[1:-1] for c in text)
