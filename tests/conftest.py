"""One thread per test process (three times faster on two cores), no network, and where the public data lie."""

import os

for _name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMEXPR_NUM_THREADS"):
    os.environ.setdefault(_name, "1")
os.environ.setdefault("WANDB_MODE", "offline")
os.environ.setdefault("WANDB_SILENT", "true")
os.environ.setdefault("HYDRA_FULL_ERROR", "1")

import sys  # noqa: E402
from pathlib import Path  # noqa: E402

import pytest  # noqa: E402

REPOSITORY = Path(__file__).parents[1]
sys.path.insert(0, str(Path(__file__).parent))  # for the module html_page, shared by the tests of all pages


@pytest.fixture(scope="session")
def repository() -> Path:
    """Root of the checkout."""
    return REPOSITORY


@pytest.fixture(scope="session")
def public_data() -> Path:
    """Folder of the public data sets; tests that need it are skipped where there is none."""
    candidates = [os.environ.get("MICROMEGA_DATA"), str(REPOSITORY.parent / "shared" / "data")]
    for candidate in candidates:
        if candidate and Path(candidate).is_dir():
            return Path(candidate)
    pytest.skip("the public data sets are neither in $MICROMEGA_DATA nor in ../shared/data")
