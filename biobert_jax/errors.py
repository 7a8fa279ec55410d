"""The error that a user can act on; everything else that escapes is a bug."""


class UserError(Exception):
    """Says in one line what is wrong, where (file, key, position) and what to do.

    `biobert` prints it after "error: " and exits with code 1, without a traceback.
    """


class Interrupted(UserError):
    """A run that a signal ended after saving; `exit_code` is 128 + the signal's number."""

    def __init__(self, message: str, exit_code: int):
        super().__init__(message)
        self.exit_code = exit_code
