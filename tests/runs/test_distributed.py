"""Two processes (DDP over gloo) end with what one process with batches of twice the size ends with.

In float64: float32 adds the same numbers up in another order, 1e-7 apart, which Adam's division by small gradients
makes larger in the weights. The numbers of rows are even: of an odd one, a row is taken twice, for equal shares.
"""

import csv
import json
import socket

import numpy as np
import pytest
from lab import Lab, run_folder

from micromega.runs.checkpoint import load_checkpoint, newest_valid

TOLERANCE = {"rtol": 0, "atol": 1e-6}
SAME = (
    "market.brands=32", "market.creators=160", "market.posts=6", "data.min_positives=2", "trainer.max_epochs=3",
    "callbacks=no_early_stopping", "model.dropout=0", "+trainer.precision=64-true", "evaluation.calibration=none",
)  # fmt: skip
PARTNERS = ("data.lists=pairs", "data.hard_negatives=4", "model.score=cosine", "model.optimiser=adamw")
BEST = (*PARTNERS, "model.loss=softmax", "model.schedule=one_cycle", "model.competition=true")
OTHERS = {
    "lists": ("data.list_length=3", "model.loss=top_one"),
    "lists, summed": ("model.reduction=sum", "model.l1=0.001", "model.optimiser=sgd", "model.learning_rate=0.1"),
    "partners of the batch": (*PARTNERS, "model.loss=info_nce", "model.tied=false", "model.fusion=gated"),
}


CONTENT = (
    "experiment=vsvae/small", "market.brands=8", "market.creators=60", "trainer.max_epochs=4", "data.min_count=2",
    "model.latent_size=4", "model.text_hidden=4", "model.text_size=8", "model.frames_hidden=8", "model.audio_size=8",
    "model.image_sizes=[16,8]", "model.editing_size=4", "model.modality_dropout=0.5", "model.posterior=product",
    "model.learning_rate=0.01", "model.kl=1", "model.weights.caption=1", "model.weights.sticker=1",
    "model.weights.speech=1", "model.weights.frames=1", "model.weights.objects=1", "model.weights.sentiment=1",
    "model.weights.editing=1", "evaluation.importance_samples=4", "evaluation.popularity=false",
)  # fmt: skip


@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    return Lab(tmp_path_factory.mktemp("lab"))


def start(lab, processes, overrides, same=SAME):
    """Start training in so many processes, with what Lightning sets for those it starts itself (lab forks them)."""
    place = lab.place(f"{processes}-processes")
    wanted = [*same, *overrides, f"data.batch_size={16 // processes}"]
    if processes == 1:
        return place, wanted, [lab.start("train", place, *wanted, tiny=False)]
    wanted += ["trainer=ddp", "trainer.accelerator=cpu", f"trainer.devices={processes}"]
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    ranks = [{"LOCAL_RANK": str(n), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port} for n in range(processes)]
    return place, wanted, [lab.start("train", place, *wanted, tiny=False, env=rank) for rank in ranks]


def numbers(path):
    with path.open() as file:
        return np.array([[float(cell) for cell in row.values()] for row in csv.DictReader(file)])


def check(lab, overrides):
    found = []
    for processes in (1, 2):
        place, wanted, started = start(lab, processes, overrides)
        for process in started:
            assert process.wait() == 0, process.output
        evaluated = lab.run("evaluate", place, *wanted, tiny=False)
        assert evaluated.status() == 0, evaluated.output
        held = load_checkpoint(newest_valid(run_folder(place) / "checkpoints"))
        judged = json.loads((run_folder(place, "evaluate") / "metrics.json").read_text())
        found.append((held, numbers(run_folder(place) / "metrics.csv"), judged))
    (one, history, judged), (two, history_of_two, judged_of_two) = found
    assert one["global_step"] == two["global_step"] > 20
    assert len(history) == 3
    np.testing.assert_allclose(history_of_two, history, **TOLERANCE)
    assert one["state_dict"].keys() == two["state_dict"].keys()
    for name, values in one["state_dict"].items():
        np.testing.assert_allclose(two["state_dict"][name], values, **TOLERANCE, err_msg=name)
    assert judged.keys() == judged_of_two.keys()
    for method, values in judged.items():
        assert judged_of_two[method] == pytest.approx(values, rel=0, abs=1e-6), method


def test_the_best_recipe(lab):
    check(lab, BEST)


@pytest.mark.slow
@pytest.mark.parametrize("name", OTHERS)
def test_other_losses(lab, name):
    check(lab, OTHERS[name])


def test_content_vectors(lab):
    """Each process draws its own noise, so two do not end with the numbers of one; they end as well."""
    bounds = {}
    for processes in (1, 2):
        place, wanted, started = start(lab, processes, (), CONTENT)
        for process in started:
            assert process.wait() == 0, process.output
        evaluated = lab.run("evaluate", place, *wanted, tiny=False)
        assert evaluated.status() == 0, evaluated.output
        held = load_checkpoint(newest_valid(run_folder(place) / "checkpoints"))
        assert all(values.isfinite().all() for values in held["state_dict"].values() if values.is_floating_point())
        with (run_folder(place) / "metrics.csv").open() as file:
            bounds[processes, held["global_step"]] = [float(row["val/elbo"]) for row in csv.DictReader(file)]
    (alone, history), (together, history_of_two) = ((steps, bound) for (_, steps), bound in bounds.items())
    assert alone == together > 20
    gain = history[-1] - history[0]
    assert gain > 5
    assert history_of_two[-1] - history[0] > 0.8 * gain
