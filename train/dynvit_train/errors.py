"""Errors that a user can cause."""


class UserError(Exception):
    """Bad input: one line that says what, which object, why, and where known what to do."""
