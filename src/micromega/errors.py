"""Errors that a user can act on: what is wrong, where, and what to do.

Every message names the file, table, column or key at fault and the remedy. The entry points print the message without a
traceback and exit with `exit_status`; a traceback therefore always means a defect of ours.
"""

from collections.abc import Iterable


def some_of(names: Iterable[str], most: int = 30) -> str:
    """Join names for a message; of more than `most` the first ones, and how many follow."""
    listed = list(names)
    more = f" and {len(listed) - most:,} more" if len(listed) > most else ""
    return ", ".join(listed[:most]) + more


class MicromegaError(Exception):
    """Base of all errors raised on purpose."""

    exit_status = 1


class ConfigError(MicromegaError):
    """The composed configuration holds an unknown key, a wrong type, a value out of range or a forbidden target."""

    exit_status = 2


class DataError(MicromegaError):
    """A market table or a source file breaks its schema; the message names table, column, count and first rows."""

    exit_status = 2


class ScoreError(MicromegaError):
    """A score table breaks the contract, comes from another market, or has units that the reader cannot use."""

    exit_status = 2


class InfeasibleError(MicromegaError):
    """No plan satisfies the constraints; the message names those that conflict and the smallest change that works."""

    exit_status = 2


class CheckpointError(MicromegaError):
    """No checkpoint can be used, or the one at hand belongs to another request."""


class NonFiniteLossError(MicromegaError):
    """The loss became NaN or infinite; the message names the step and the ids in the batch."""


class MissingExtraError(MicromegaError):
    """An optional dependency is not installed; the message gives the pip line."""
