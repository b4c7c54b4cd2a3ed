"""The root of every error that Credence raises on purpose."""


class CredenceError(Exception):
    """Something a user can mend. Its text is one sentence that says what to do."""
