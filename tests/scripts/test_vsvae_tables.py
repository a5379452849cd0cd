"""`scripts/vsvae_tables.py`: what it prints, against numbers by hand, and that it goes on where it stopped."""

import json
import math
import re
import sys
from pathlib import Path

import pytest
from hydra.core.hydra_config import HydraConfig

SCRIPTS = Path(__file__).parents[2] / "scripts"
SMALL = (
    "market.brands=8 market.creators=60 market.posts=5 market.scale=0.01 data.parts=[caption,editing] data.min_count=2 "
    "data.batch_size=64 model.latent_size=4 trainer.max_epochs=1 trainer.accelerator=cpu "
    "evaluation.importance_samples=2 evaluation.popularity_epochs=1"
)


@pytest.fixture(scope="module")
def tables():
    sys.path.insert(0, str(SCRIPTS))
    try:
        import vsvae_tables
    finally:
        sys.path.remove(str(SCRIPTS))
    return vsvae_tables


def evaluation(shift=0.0, **changed):
    """What evaluate.py writes, its numbers moved by `shift`."""
    text = {"measure": "accuracy", "explained": None, "explained_by_pca": None}
    number = {"measure": "mse", "model": 12.0 + shift, "pca": None, "no_information": 40.0}
    signs = {"target": "growth rate", "accuracy": 0.6 + shift, "majority": 0.5, "r_squared": 0.1}
    return {
        "metrics": {"VSVAE": {"caption_accuracy": 0.2}},
        "reconstruction": [
            {"part": "caption", "model": 0.2 + shift, "pca": 0.1, "no_information": 0.05, **text},
            {"part": "editing", "explained": 0.7, "explained_by_pca": None, **number},
        ],
        "bounds": {"elbo": -9.0 - shift, "importance_weighted": None, "divergence": 2.0,
                   "log_likelihood": {"caption": -6.0, "editing": -1.0}},
        "latent": {"divergence": [1.0, 1.0, 0.0], "variance_of_mean": [0.5, 0.02, 0.01]},
        "neighbourhood": {"k": 3, "same_hashtag": 0.4, "by_pca": 0.3, "same_hashtag_by_chance": 0.1},
        "popularity": {"rows": [{"representation": name, **signs} for name in ("r", "PCA")]},
        "probes": [{"target": "style", "scores": {"r": 0.8, "PCA": 0.9}}],
        "absent": ["No views."],
        "facts": {"posts": {"train": 1800, "test": 10}, "parts": {"caption": 90, "editing": 2}, "latent_size": 3},
    } | changed  # fmt: skip


def cells(page):
    """First cell, and the second too where it is a name -> the other cells."""
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line[:2] == "| "]
    return {row[0] if row[1] not in {"r", "PCA"} else " ".join(row[:2]): row[1:] for row in rows}


def test_mean_and_deviation_over_seeds(tables):
    lines = [
        {"cpu_s": {"train": 10.0 + seed, "evaluate": 3.0}, "evaluation": evaluation(0.1 * seed)} for seed in (0, 1, 2)
    ]
    page = tables.printed(lines)
    found = cells(page)
    assert page.startswith("3 seeds; 1,800 train, 10 test; caption 90, editing 2.")
    assert found["caption, share of words"] == ["0.300 ± 0.100", "0.100 ± 0.000", "0.050 ± 0.000"]
    assert found["editing, MSE"] == ["12.1 ± 0.1", "–", "40.0 ± 0.0"]
    assert found["editing, R²"] == ["0.700 ± 0.000", "–", "0"]
    assert found["of 3"] == ["0.400 ± 0.000", "0.300 ± 0.000", "0.100 ± 0.000"]
    assert found["growth rate r"][1:] == ["0.700 ± 0.100", "0.500 ± 0.000", "0.100 ± 0.000"]
    assert found["style"] == ["0.800 ± 0.000", "0.900 ± 0.000"]
    assert found["minus the divergence"] == ["-2.00 ± 0.00"]
    assert found["evidence lower bound"] == ["-9.10 ± 0.10"]
    assert found["importance-weighted bound"] == ["–"]
    assert found["active numbers of r, of 3"] == ["2.0 ± 0.0"]  # 0.01 does not count
    assert found["CPU seconds, train"] == ["11 ± 1"]
    assert page.endswith("\n\n- No views.")  # once, not three times


def test_what_a_market_lacks_has_no_table(tables):
    lacking = evaluation(neighbourhood=None, popularity=None, probes=[])
    page = tables.printed([{"cpu_s": {"train": 1.0, "evaluate": 1.0}, "evaluation": lacking}])
    assert len(re.findall(r"^\|---", page, flags=re.MULTILINE)) == 2
    assert cells(page)["caption, share of words"][0] == "0.200"  # one seed has no deviation


def test_values_that_are_not_known_are_left_out(tables):
    assert tables.spread([None, math.nan]) == "–"
    assert tables.spread([None, 2.0]) == "2.000"


@pytest.mark.filterwarnings("ignore::UserWarning")
def test_a_stopped_run_goes_on(tables, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(HydraConfig.instance(), "cfg", None)
    places = [f"--cache={tmp_path / 'markets'}", f"--results={tmp_path / 'results'}"]
    tables.main(["small", "--seeds", "3", *places, "--set", *SMALL.split()])
    file = tmp_path / "results" / "small.jsonl"
    (line,) = map(json.loads, file.read_text().splitlines())
    assert line["seed"] == 3
    assert {row["part"] for row in line["evaluation"]["reconstruction"]} == {"caption", "editing"}
    assert min(line["cpu_s"].values()) > 0
    first = capsys.readouterr().out
    assert {"growth rate r", "subject", "of 3"} <= set(cells(first))

    other = line | {"seed": 4}
    file.write_text("".join(json.dumps(of) + "\n" for of in (line, other, line | {"seed": 5, "set": ["data.seed=1"]})))
    monkeypatch.setattr(tables, "run", lambda overrides: pytest.fail(f"ran again: {overrides}"))
    tables.main(["small", "--seeds", "3", "4", *places, "--set", *SMALL.split()])
    assert "2 seeds; " in capsys.readouterr().out
    with pytest.raises(pytest.fail.Exception, match="seed=5"):  # that line is of other settings
        tables.main(["small", "--seeds", "5", *places, "--set", *SMALL.split()])
