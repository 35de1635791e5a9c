"""The one exception that means: this command cannot go on. Caught in one place, printed as one line, exit code 2."""


class Failure(Exception):
    """Cannot continue; the text says why, for people."""
