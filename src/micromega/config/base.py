"""The decorator that turns a class into a validated configuration node."""

from collections.abc import Callable
from typing import Any, TypeVar, dataclass_transform

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

T = TypeVar("T", bound=type)


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(Field,))
def config(group: str, target: str) -> Callable[[T], T]:
    """Make a class the schema of one choice of a Hydra group.

    Fields are typed and bounded with pydantic (`Annotated[int, Field(ge=2)]`); unknown keys and values of the wrong
    type are refused. Such classes live in modules called `config.py` that import nothing heavy, since `--help` reads
    them all.

    Args:
        group: Hydra group and schema name, for instance "model/mir".
        target: "package.module:name" of the callable that is given the validated object.

    Returns:
        A decorator that gives back a frozen, keyword-only dataclass.
    """

    def decorate(cls: T) -> T:
        made: Any = pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", strict=False))(cls)
        made.config_group = group
        made.config_target = target
        return made  # type: ignore[no-any-return]

    return decorate
