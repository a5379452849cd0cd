"""How all pages are made: escaped by default, and an unknown name in a template is an error."""

from collections.abc import Callable
from typing import Any

from micromega.errors import MissingExtraError

try:
    from jinja2 import Environment, PackageLoader, StrictUndefined
except ImportError as error:
    raise MissingExtraError('The report needs jinja2. Run: pip install "micromega[report]"') from error


def environment(**filters: Callable[..., Any]) -> Environment:
    """Make the environment of the templates in this package.

    Args:
        filters: name in the template -> function.

    Returns:
        The environment.
    """
    made = Environment(
        loader=PackageLoader("micromega.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(filters)
    return made
