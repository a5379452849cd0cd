"""Secrets never reach a file: the resolved configuration is redacted before it is saved or uploaded."""

import os
import re
from typing import Any

HIDDEN = "<redacted>"
_SECRET_NAME = re.compile(r"(api_?key|secret|passw|credential|private_key|(^|[_.])token($|[_.]))", re.IGNORECASE)
_SHORTEST_SECRET = 6  # shorter values of such variables ("1", "true") are settings; hiding them would hide half a file


def redact(value: Any) -> Any:
    """Replace secrets in a plain configuration.

    Args:
        value: nested dict and list of plain values.

    Returns:
        The same structure; values under a secret's name, and any text that holds the value of an environment variable
        with a secret's name, read "<redacted>".
    """
    secrets = [text for name, text in os.environ.items() if _SECRET_NAME.search(name) and len(text) >= _SHORTEST_SECRET]
    return _redact(value, secrets)


def _redact(value: Any, secrets: list[str]) -> Any:
    if isinstance(value, dict):
        return {
            key: HIDDEN if _SECRET_NAME.search(str(key)) and item is not None else _redact(item, secrets)
            for key, item in value.items()
        }
    if isinstance(value, list):
        return [_redact(item, secrets) for item in value]
    if isinstance(value, str):
        if (assignment := re.match(r"^([^=]+)=(.+)$", value)) and _SECRET_NAME.search(assignment[1]):
            return f"{assignment[1]}={HIDDEN}"
        for secret in secrets:
            value = value.replace(secret, HIDDEN)
    return value
