"""What a run folder says of itself: resolved configuration, lineage, state."""

import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from micromega.config.redact import redact
from micromega.errors import CheckpointError, ConfigError
from micromega.files import write_text_atomically

_PACKAGES = (
    "micromega", "torch", "pytorch-lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy", "scipy", "pyarrow",
    "cvxpy", "highspy", "lightgbm", "wandb",
)  # fmt: skip
CONFIG, RECORD = "config.yaml", "run.json"
AFFINITY, EVALUATION = "affinity.parquet", "evaluation.json"  # what evaluate.py leaves for optimize.py


def write_config(folder: Path, config: DictConfig) -> None:
    """Write the resolved configuration, secrets redacted, as `config.yaml`."""
    write_text_atomically(folder / CONFIG, config_text(config))


def config_text(config: DictConfig) -> str:
    """Show the resolved configuration as YAML, secrets redacted."""
    plain = redact(OmegaConf.to_container(config, resolve=True))
    return yaml.safe_dump(plain, sort_keys=False, allow_unicode=True)


def read_record(folder: Path) -> dict[str, Any]:
    """Read `run.json`; empty where there is none yet or it is not JSON."""
    try:
        found = json.loads((folder / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) else {}


def update_record(folder: Path, **values: Any) -> dict[str, Any]:
    """Merge values, secrets redacted, into `run.json` and return the whole."""
    record: dict[str, Any] = read_record(folder) | redact(values)
    write_text_atomically(folder / RECORD, json.dumps(record, indent=2, sort_keys=True, default=str) + "\n")
    return record


def note_failure(folder: Path, error: Exception, status: str) -> None:
    """Say in `run.json`, if the run has got that far, that it ended without a result, and why."""
    if read_record(folder):
        update_record(folder, status=status, error=str(error), finished_at=now())


def lineage(*, signature: str, seed: int, tags: tuple[str, ...], overrides: list[str], market: Any) -> dict[str, Any]:
    """Collect what is needed to say where a result came from.

    Args:
        signature: the request's.
        seed: the request's.
        tags: the request's.
        overrides: the command line's.
        market: the market in use.

    Returns:
        Plain values for `run.json`.
    """
    return {
        "signature": signature,
        "seed": seed,
        "tags": list(tags),
        "overrides": list(overrides),
        "market": market.name,
        "market_fingerprint": market.fingerprint,
        "git_commit": git_commit(),
        "packages": package_versions(),
        "python": sys.version.split()[0],
        "platform": platform.platform(),
        "started_at": now(),
    }


def check_arrays(facts: Mapping[str, Any], market: Any, folder: Path) -> None:
    """Refuse a run whose feature arrays have been made again with other values; tables alone are in the fingerprint.

    Args:
        facts: the run's record.
        market: the market in use.
        folder: the run's.

    Raises:
        CheckpointError: an array differs.
    """
    for name, fingerprint in facts.get("arrays", {}).items():
        if market.features(name).fingerprint != fingerprint:
            msg = (
                f"{folder} was trained on other values of the feature {name} than {market.path} holds now. Remove the "
                "folder to train anew, or put the old array back."
            )
            raise CheckpointError(msg)


def now() -> str:
    """Now, UTC, ISO 8601 to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def git_commit() -> str | None:
    """Commit of the source tree, with "+dirty" if files differ from it; None outside a checkout."""
    here = Path(__file__).parent
    try:
        commit = _git(here, "rev-parse", "HEAD")
        dirty = _git(here, "status", "--porcelain", "--untracked-files=no")
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + ("+dirty" if dirty else "")


def package_versions() -> Mapping[str, str]:
    """Versions of the packages that can change a result."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "not installed"
    return found


def _git(folder: Path, *arguments: str) -> str:
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments], capture_output=True, text=True, check=True, timeout=10
    )
    return done.stdout.strip()


def optimized(metrics: Mapping[str, float], name: str | None) -> float | None:
    """Pick the metric that a sweep maximises.

    Args:
        metrics: name -> value.
        name: the metric wanted, or None.

    Returns:
        Its value; None if none is wanted.

    Raises:
        ConfigError: there is no such metric; the message names those that there are.
    """
    if name is None:
        return None
    if name not in metrics:
        msg = f"optimized_metric: {name!r} is not among the metrics: {', '.join(sorted(metrics))}."
        raise ConfigError(msg)
    return metrics[name]
