"""The error that a user can mend."""


class ScriptError(Exception):
    """One line: what is wrong, where, and what to do."""


class Unanswered(ScriptError):
    """The cloud did not answer, which may pass."""
