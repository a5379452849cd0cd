"""The configuration's shape: which keys exist, their types, and the defaults that YAML files only differ from."""

import dataclasses
from collections.abc import Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any, Literal

from hydra.core.config_store import ConfigStore
from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as pydantic_dataclass

import micromega


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid"))
class Paths:
    """Where things lie; no part of a run's identity."""

    root: str
    """Folder that relative paths start from."""
    runs: str
    """Run folders, one per request."""
    markets: str
    """Markets built by importers and the simulator, one folder each, reused."""
    public_data: str
    """Public data sets that importers read."""


@pydantic_dataclass(frozen=True, kw_only=True, config=ConfigDict(extra="forbid", arbitrary_types_allowed=True))
class RunConfig:
    """One validated request: what `train.py`, `evaluate.py` and `optimize.py` are given."""

    task: Literal["train", "evaluate", "optimize"]
    seed: Annotated[int, Field(ge=0, lt=2**32)]
    tags: tuple[str, ...] = ()
    resume: Literal["auto", "never"] = "auto"
    """auto: continue or reuse what the run folder holds; never: refuse to touch a folder that holds something."""
    ckpt_path: str | None = None
    """Checkpoint to start or to evaluate from instead of the run's own."""
    retrieve: Literal["none", "exact", "ann"] = "none"
    """none: evaluate.py scores all pairs of the exported brands. exact, ann: it writes their shortlists from vectors
    instead, by all inner products, block by block, or through an approximate index; optimize.py needs the same value to
    find them."""
    scores: str | None = None
    """Score table for optimize.py instead of the one that evaluate.py wrote for the same request."""
    allow_other_market: bool = False
    """Let optimize.py use scores that were made from other tables than the market's."""
    optimized_metric: str | None = None
    """Metric that a sweep maximises; train.py returns it."""
    print_config: bool = False
    paths: Paths
    market: Any
    data: Any
    model: Any
    evaluation: Any
    problem: Any
    solver: Any
    trainer: Mapping[str, Any]
    callbacks: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    logger: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@cache
def config_classes() -> Mapping[str, type]:
    """Find every config node of the package.

    Returns:
        Dotted target (what `_target_` holds) -> config class, from all modules called `config.py`.
    """
    package = Path(micromega.__file__).parent
    found: dict[str, type] = {}
    for path in sorted(package.rglob("config.py")):
        module = import_module(".".join(("micromega", *path.relative_to(package).with_suffix("").parts)))
        for value in vars(module).values():
            if isinstance(value, type) and value.__module__ == module.__name__ and hasattr(value, "config_group"):
                found[dotted(str(vars(value)["config_target"]))] = value
    return found


def dotted(target: str) -> str:
    """Turn "package.module:name" into the dotted form that Hydra users know."""
    return target.replace(":", ".")


def register(*more: type) -> None:
    """Give Hydra every config class's defaults as group `schema/<group>`, so that plain overrides know their keys.

    Args:
        more: config classes of modules that are too heavy to be found by name.
    """
    store = ConfigStore.instance()
    for cls in (*config_classes().values(), *more):
        target = dotted(str(vars(cls)["config_target"]))
        group, name = str(vars(cls)["config_group"]).rsplit("/", 1)
        store.store(group=f"schema/{group}", name=name, node={"_target_": target, **defaults(cls)})


def defaults(cls: type) -> dict[str, Any]:
    """Plain defaults of a config class; an empty mapping becomes null, so that overrides may fill it with any key."""
    return {key: None if value == {} else value for key, value in plain(dataclasses.asdict(cls())).items()}


def plain(value: Any) -> Any:
    """Reduce a value to what YAML and JSON hold: dict, list, str, int, float, bool, None."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item) for item in value]
    return value
