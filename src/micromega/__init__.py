"""From raw posts to a campaign plan one can defend."""

__version__ = "0.1.0"
