"""What one planning run knows of itself, whatever the problem."""

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig

from micromega.config.schema import RunConfig
from micromega.config.signature import run_name, signature
from micromega.errors import MicromegaError
from micromega.files import write_atomically, write_text_atomically
from micromega.market.market import Market
from micromega.runs import record
from micromega.solvers.plan import Certificate

log = logging.getLogger(__name__)
PLAN, CERTIFICATE, REPORT = "plan.parquet", "certificate.json", "report.html"


@dataclass(frozen=True, kw_only=True)
class PlanningRun:
    """One planning run.

    Attributes:
        request: the validated configuration.
        config: the configuration as composed.
        folder: the run folder.
        market: the market.
    """

    request: RunConfig
    config: DictConfig
    folder: Path
    market: Market

    @property
    def evaluated(self) -> Path:
        """Folder of the evaluation that the same request names."""
        return Path(self.request.paths.runs) / "evaluate" / run_name(self.config, "evaluate")

    @property
    def trained(self) -> Path:
        """Folder of the training behind it."""
        return Path(self.request.paths.runs) / "train" / run_name(self.config, "train")

    def scores_at(self, name: str) -> Path:
        """The score table of this file name that the request names, or that its evaluation wrote."""
        return Path(self.request.scores) if self.request.scores else self.evaluated / name

    def begin(self, **more: Any) -> dict[str, Any]:
        """Write down the request, and remove an earlier plan: it must not stand beside a failure.

        Args:
            more: further values for `run.json`.

        Returns:
            What is known of the run: signature, seed and the like.
        """
        record.write_config(self.folder, self.config)
        facts = record.lineage(
            signature=signature(self.config, "optimize"),
            seed=self.request.seed,
            tags=self.request.tags,
            overrides=list(HydraConfig.get().overrides.task) if HydraConfig.initialized() else [],
            market=self.market,
        )
        record.update_record(self.folder, task="optimize", status="running", **more, **facts)
        for name in (PLAN, CERTIFICATE, REPORT):
            (self.folder / name).unlink(missing_ok=True)
        return facts

    def finish(self, table: pa.Table, certificate: Certificate, page: Callable[[], str], status: str) -> None:
        """Write certificate and report, and the plan last: no plan without its certificate.

        Args:
            table: of the plan.
            certificate: of an independent check that has passed.
            page: makes the report.
            status: of the plan.
        """
        write_text_atomically(self.folder / CERTIFICATE, certificate.to_json())
        write_text_atomically(self.folder / REPORT, page())
        write_atomically(self.folder / PLAN, lambda file: pq.write_table(table, file, write_page_checksum=True))
        record.update_record(self.folder, status="done", plan_status=status, finished_at=record.now())
        log.info("Plan, certificate and report: %s", self.folder)
        log.info("Open the report: %s", self.folder / REPORT)


def check_certificate(certificate: Certificate, solver: str) -> None:
    """Refuse a plan that the independent check does not confirm (MicromegaError)."""
    if not certificate.ok:
        broken = "; ".join(check.words for check in certificate.checks if not check.ok)
        msg = f"{solver} gave a plan that fails the independent check, so it is not written: {broken}"
        raise MicromegaError(msg)
