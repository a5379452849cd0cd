"""Hyperparameter searches that survive being killed: interrupted trials first, and one process per study."""

import logging
import sys
import warnings
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, read_write

from micromega.runs.lock import locked

log = logging.getLogger(__name__)


class ResumeStudy(Callback):
    """Prepare an Optuna study before Hydra's sweeper opens it.

    Left to itself, the sweeper runs `n_trials` more at every start, proposes the first trials once more, and forgets
    the trial that was running when it was killed. Here `n_trials` is the number of completed trials wanted, and an
    interrupted trial is asked for again with the same values, hence in the same run folder, where it resumes.
    """

    def __init__(self) -> None:
        self._held = ExitStack()

    def __getstate__(self) -> dict[str, Any]:
        """Leave the lock behind when a launcher sends this object to another process."""
        return {}

    def on_multirun_start(self, config: DictConfig, **_: Any) -> None:
        """Lock the study, queue what was interrupted, and count what is left to do."""
        if config.trainer.devices != 1 and "submitit" not in config.hydra.launcher._target_:
            log.error("trainer.devices: a search needs 1 (or a SLURM launcher), got %s.", config.trainer.devices)
            sys.exit(2)  # further devices would each start the whole search again
        try:
            self._prepare(config)
        except Exception:
            log.exception("The study %s cannot be opened.", config.hydra.sweeper.storage)
            sys.exit(1)  # Hydra would turn the exception into a warning, and go on

    def on_multirun_end(self, config: DictConfig, **_: Any) -> None:
        """Let the next process have the study."""
        self._held.close()

    def _prepare(self, config: DictConfig) -> None:
        HydraConfig.instance().set_config(config)  # not yet known here, but the folders are found through it
        sweeper, folder = config.hydra.sweeper, Path(config.hydra.sweep.dir).resolve()
        self._held.enter_context(locked(folder))
        started, completed = _revive(sweeper.study_name, sweeper.storage, sweeper.direction)
        if started:
            log.info("%s of %s trials are completed; going on with the study.", completed, sweeper.n_trials)
        with read_write(config.hydra):
            config.hydra.overrides.hydra.append(
                f"hydra.sweep.dir='{folder}'"
            )  # trials would derive it from their values
            sweeper.n_trials = max(0, sweeper.n_trials - completed)
            if sweeper.sampler.get("seed") is not None:
                sweeper.sampler.seed += started  # another seed than at the earlier start, but a repeatable one


def _revive(name: str, storage: str, direction: Any) -> tuple[int, int]:
    """Queue interrupted trials again.

    Args:
        name: study.
        storage: database; nobody else may be running trials of this study.
        direction: "maximize" or "minimize", or Hydra's enumeration of them.

    Returns:
        Number of trials started so far, and number of those completed.
    """
    import optuna  # noqa: PLC0415  (an extra that only searches need)

    optuna.logging.set_verbosity(logging.WARNING)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)  # enqueue_trial, in optuna 2.10
        study = optuna.create_study(
            study_name=name, storage=storage, direction=getattr(direction, "name", direction), load_if_exists=True
        )
        trials = study.get_trials(deepcopy=False)
        queued = [trial.system_attrs.get("fixed_params") for trial in trials if trial.state.name == "WAITING"]
        for trial in trials:
            if trial.state == optuna.trial.TrialState.RUNNING:
                log.info("Trial %d was interrupted and is resumed: %s", trial.number, trial.params)
                if trial.params not in queued:  # killed between the next two lines, it is
                    study.enqueue_trial(trial.params)
                study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
    return len(trials), sum(trial.state == optuna.trial.TrialState.COMPLETE for trial in trials)
