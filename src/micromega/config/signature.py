"""The identity of a request: the same request has the same run folder, another one never shares it."""

import hashlib
import json
import re
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

TRAIN_KEYS = ("seed", "market", "data", "model", "trainer", "callbacks", "ckpt_path")
EVALUATE_KEYS = (*TRAIN_KEYS, "evaluation")
OPTIMIZE_KEYS = (*EVALUATE_KEYS, "scores", "problem", "solver")
_SHOWN = {"evaluation": ("bootstrap_samples", "cases", "compare", "shortlist")}
"""Keys that change what a report shows, and no score; with `retrieve` the shortlist counts, see `signature`."""
_KEYS = {"train": TRAIN_KEYS, "evaluate": EVALUATE_KEYS, "optimize": OPTIMIZE_KEYS}


def signature(config: DictConfig, task: str) -> str:
    """Hash those parts of a composed configuration that decide the result.

    Paths, loggers, tags, Hydra's own section and what only a report shows stay out, and `retrieve` while it is "none",
    so that runs without shortlists keep their folders. Interpolations are hashed as
    written, so that the same request has the same signature on every machine and no secret is read.

    Args:
        config: the composed configuration.
        task: train, evaluate or optimize; a later task's signature covers the earlier ones' keys.

    Returns:
        12 hexadecimal digits.
    """
    parts = {key: _container(config, key) for key in _KEYS[task]}
    if task != "train" and (how := OmegaConf.select(config, "retrieve")) not in (None, "none"):
        parts["retrieve"] = {"by": how, "shortlist": OmegaConf.select(config, "evaluation.shortlist")}
    text = json.dumps(parts, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:12]


def stage_name(config: DictConfig, stage: str, later: str) -> str:
    """Folder name of an earlier stage of a model, which requests that differ in a later one share.

    Args:
        config: the composed configuration.
        stage: for instance treatment.
        later: the part of `model` that the stage knows nothing of, for instance outcome.

    Returns:
        Readable labels, then a signature.
    """
    own = OmegaConf.masked_copy(config, [str(key) for key in config])
    OmegaConf.set_struct(own, False)
    own.model = {key: value for key, value in _container(config, "model").items() if key != later}
    return f"{_label(config, 'model', 2)}-{stage}-{_label(config, 'market', -2)}-{signature(own, 'train')}"


def run_name(config: DictConfig, task: str) -> str:
    """Folder name of a request: readable labels, then the signature."""
    labels = [_label(config, "model", 2), _label(config, "market", -2)]
    return "-".join([*filter(None, labels), signature(config, task)])


def _container(config: DictConfig, key: str) -> Any:
    value = OmegaConf.select(config, key, throw_on_missing=False)
    if not isinstance(value, DictConfig):
        return OmegaConf.to_container(value, resolve=False) if OmegaConf.is_config(value) else value
    content: Any = OmegaConf.to_container(value, resolve=False)
    return {name: item for name, item in content.items() if name not in _SHOWN.get(key, ())}


def _label(config: DictConfig, group: str, part: int) -> str:
    """Part of a target's dotted name, for people; empty where it is none of ours, which validation refuses later."""
    parts = str(OmegaConf.select(config, f"{group}._target_") or "").split(".")
    return re.sub(r"\W", "", parts[part]) if len(parts) > 2 else ""


def register_resolvers() -> None:
    """Register `${run_name:task}` for Hydra's run folder, and `${cwd:}`, which Hydra's own resolver lacks in sweeps."""
    OmegaConf.register_new_resolver("cwd", lambda: str(Path.cwd()), replace=True)
    OmegaConf.register_new_resolver(
        "run_name", lambda task, _root_: run_name(_root_, task), replace=True, use_cache=False
    )
