"""Checks of a composed configuration, before any work: keys, types, ranges, and what a `_target_` may name.

Hydra instantiates almost any importable name that a `_target_` holds (`builtins.open`, `torch.hub.load`), so nothing
here is instantiated before its target has been resolved and found to be one of our config targets or a class of an
allowed package.
"""

import dataclasses
import difflib
import inspect
from collections.abc import Iterator, Mapping
from importlib import import_module
from typing import Any

from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from pydantic import ValidationError

from micromega.config.schema import RunConfig, config_classes, dotted
from micromega.errors import ConfigError

TYPED_GROUPS = ("market", "data", "model", "evaluation", "problem", "solver")
ALLOWED_CLASSES = (
    "micromega.runs.callbacks.",
    "pytorch_lightning.callbacks.",
    "pytorch_lightning.loggers.",
    "pytorch_lightning.profilers.",
)
_TRAINER = "pytorch_lightning.trainer.trainer.Trainer"


def validate(config: DictConfig, choices: Mapping[str, str] | None = None) -> RunConfig:
    """Turn a composed configuration into a typed request.

    Args:
        config: what Hydra composed, without its own section.
        choices: group -> chosen file, to say in which file a wrong value stands.

    Returns:
        The request; its groups are objects of their config classes.

    Raises:
        ConfigError: unknown key, wrong type, value out of range, forbidden target; names file, key, value, what is
            allowed.
    """
    choices = choices or {}
    try:
        raw = OmegaConf.to_container(config, resolve=True, throw_on_missing=True)
    except OmegaConfBaseException as error:
        msg = f"{error.full_key or 'configuration'}: {str(error).splitlines()[0]}"
        raise ConfigError(msg) from None
    assert isinstance(raw, dict)
    values = {str(key): value for key, value in raw.items()}
    for group in TYPED_GROUPS:
        values[group] = typed(group, values.get(group), choices)
    for group in ("callbacks", "logger"):
        values[group] = {name: node for name, node in (values.get(group) or {}).items() if node is not None}
    if values.get("task") == "train":  # the others build none of these, and looking at them imports all of Lightning
        for group in ("callbacks", "logger"):
            for path, node in _targets(group, values[group]):
                _check_foreign(path, node)
        _check_trainer(values.get("trainer") or {}, choices)
    request: RunConfig = build(RunConfig, values, "", f"conf/{values.get('task')}.yaml")
    return request


def resolve_target(target: str) -> Any:
    """Import what a `_target_` of a typed group names ("package.module.name")."""
    module, _, name = target.rpartition(".")
    return getattr(import_module(module), name)


def instantiate(node: Mapping[str, Any], **extra: Any) -> Any:
    """Build an object from a checked foreign node.

    Args:
        node: `_target_` and keyword arguments; nested nodes are built first.
        extra: further keyword arguments.

    Returns:
        The object.

    Raises:
        ConfigError: the class refuses its arguments.
    """
    arguments = {key: _instantiate_nested(value) for key, value in node.items() if key != "_target_"}
    cls = _foreign_class(str(node["_target_"]), str(node["_target_"]))
    try:
        return cls(**arguments, **extra)
    except (TypeError, ValueError, ImportError) as error:
        msg = f"{node['_target_']} refuses its settings: {error}"
        raise ConfigError(msg) from error


def _instantiate_nested(value: Any) -> Any:
    if isinstance(value, Mapping):
        return instantiate(value) if "_target_" in value else {k: _instantiate_nested(v) for k, v in value.items()}
    return [_instantiate_nested(item) for item in value] if isinstance(value, list) else value


def typed(group: str, node: Any, choices: Mapping[str, str], *more: type) -> Any:
    """Build the config object that a node of a typed group describes.

    Args:
        group: for instance market.
        node: `_target_` and settings; None gives None.
        choices: group -> chosen file, for messages.
        more: config classes that are not found by the name of their module.

    Returns:
        An object of the target's config class.

    Raises:
        ConfigError: see `validate`.
    """
    if node is None:
        return None
    where = f"conf/{group}/{choices.get(group, '…')}.yaml"
    target = node.get("_target_") if isinstance(node, dict) else None
    classes = {**config_classes(), **{dotted(str(vars(cls)["config_target"])): cls for cls in more}}
    allowed = {name: cls for name, cls in classes.items() if _group_of(cls) == group}
    if target not in allowed:
        msg = f"{group}._target_ is {target!r} ({where}); allowed: {', '.join(sorted(allowed))}."
        raise ConfigError(msg)
    cls = allowed[target]
    empty = {field.name for field in dataclasses.fields(cls) if _default_is_empty_mapping(field)}
    arguments = {k: v for k, v in node.items() if k != "_target_" and not (v is None and k in empty)}
    return build(cls, arguments, f"{group}.", where)


def _group_of(cls: type) -> str:
    return str(vars(cls)["config_group"]).split("/", 1)[0]


def _default_is_empty_mapping(field: dataclasses.Field[Any]) -> bool:
    if field.default_factory is not dataclasses.MISSING:
        return bool(field.default_factory() == {})
    default = field.default
    factory = getattr(default, "default_factory", None)  # pydantic's Field(default_factory=dict)
    return bool(callable(factory) and factory() == {})


def build(cls: type, values: Mapping[str, Any], prefix: str, where: str) -> Any:
    """Make a config object; pydantic's complaints become a ConfigError that names key, file and what is allowed."""
    try:
        return cls(**values)
    except ValidationError as error:
        known = [field.name for field in dataclasses.fields(cls)]
        raise ConfigError("\n".join(_words(item, prefix, where, known) for item in error.errors())) from None


def _words(item: Any, prefix: str, where: str, known: list[str]) -> str:
    key = prefix + ".".join(str(part) for part in item["loc"])
    if item["type"] in ("unexpected_keyword_argument", "extra_forbidden"):
        close = difflib.get_close_matches(str(item["loc"][-1]), known, n=1)
        guess = f" Did you mean {prefix}{close[0]}?" if close else ""
        return f"{key}: unknown key ({where} or the command line).{guess} Known keys: {', '.join(known)}."
    if item["type"] in ("missing", "missing_argument", "missing_keyword_only_argument"):
        return f"{key}: a value is needed ({where} or the command line)."
    if item["type"] == "value_error":  # of a check on several keys, which names them
        return f"{item['ctx']['error']} ({where} or the command line)."
    message = item["msg"][0].lower() + item["msg"][1:]
    return f"{key}: {message}, got {item['input']!r} ({where} or the command line)."


def _targets(path: str, node: Any) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(node, Mapping):
        if "_target_" in node:
            yield path, node
        for key, value in node.items():
            yield from _targets(f"{path}.{key}", value)
    elif isinstance(node, list):
        for index, value in enumerate(node):
            yield from _targets(f"{path}[{index}]", value)


def _foreign_class(path: str, target: str) -> type:
    """Resolve a target: a class *defined* in an allowed package, not one merely reachable through it."""
    allowed = ", ".join(f"{prefix}*" for prefix in ALLOWED_CLASSES)
    refusal = f"{path}: _target_ {target!r} is not allowed; allowed are classes of {allowed}."
    if not target.startswith(ALLOWED_CLASSES):
        raise ConfigError(refusal)
    try:
        found = resolve_target(target)
    except (ImportError, AttributeError) as error:
        msg = f"{path}: _target_ {target!r} cannot be imported: {error}."
        raise ConfigError(msg) from None
    if not (inspect.isclass(found) and f"{found.__module__}.".startswith(ALLOWED_CLASSES)):
        raise ConfigError(refusal)
    return found


def _check_foreign(path: str, node: Mapping[str, Any]) -> None:
    cls = _foreign_class(path, str(node["_target_"]))
    _check_keywords(path, cls, [key for key in node if key != "_target_"])


def _check_keywords(path: str, cls: type, keys: list[str]) -> None:
    parameters = inspect.signature(cls).parameters
    if any(parameter.kind is inspect.Parameter.VAR_KEYWORD for parameter in parameters.values()):
        return
    for key in keys:
        if key not in parameters:
            close = difflib.get_close_matches(key, list(parameters), n=1)
            guess = f" Did you mean {close[0]}?" if close else ""
            msg = f"{path}.{key}: unknown argument of {cls.__name__}.{guess} Known: {', '.join(parameters)}."
            raise ConfigError(msg)


def _check_trainer(node: Mapping[str, Any], choices: Mapping[str, str]) -> None:
    for path, nested in _targets("trainer", node):
        _check_foreign(path, nested)
    where = f"trainer (conf/trainer/{choices.get('trainer', '…')}.yaml)"
    _check_keywords(where, resolve_target(_TRAINER), list(node))
