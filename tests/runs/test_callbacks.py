"""Random states, the check of the loss, the history, and what keeps checkpoints."""

import io
import math
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from micromega.errors import NonFiniteLossError
from micromega.runs.callbacks import FiniteLoss, Latest, MetricsHistory, RandomState


def draws():
    return torch.rand(3).tolist(), np.random.rand(3).tolist(), np.random.randn(), random.random(), random.gauss(0, 1)  # noqa: NPY002


def test_random_states_survive_a_checkpoint_that_holds_plain_values_only():
    draws()  # leaves a cached normal draw in numpy and in Python
    state, buffer = RandomState().state_dict(), io.BytesIO()
    expected = draws()
    torch.save(state, buffer)
    buffer.seek(0)
    resumed = RandomState()
    resumed.load_state_dict(torch.load(buffer, weights_only=True))
    assert draws() != expected
    resumed.on_train_start(None, None)
    assert draws() == expected
    resumed.on_train_start(None, None)  # a second fit does not rewind
    assert draws() != expected


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_no_number_stops_and_names_step_and_batch(value):
    check = FiniteLoss()
    trainer = SimpleNamespace(global_step=17, current_epoch=3)
    module = SimpleNamespace(describe_batch=lambda batch: f"brands {batch}")
    check.on_train_batch_start(trainer, module, ["acme"], 0)
    check.on_before_backward(trainer, module, torch.tensor(1.0))
    with pytest.raises(NonFiniteLossError, match=r"at step 17 \(epoch 3\).*brands \['acme'\]"):
        check.on_before_backward(trainer, module, torch.tensor(value))
    with pytest.raises(NonFiniteLossError, match="batch of list"):
        check.on_before_backward(trainer, SimpleNamespace(), torch.tensor(value))


def end_epoch(history, number, **metrics):
    named = {name: torch.tensor(value) for name, value in metrics.items()}
    trainer = SimpleNamespace(
        current_epoch=number, global_step=10 * number, callback_metrics=named, is_global_zero=True
    )
    history.on_train_epoch_end(trainer, None)


def test_history_of_a_resumed_run_equals_an_unbroken_one(tmp_path):
    whole, broken = MetricsHistory(tmp_path / "whole.csv"), MetricsHistory(tmp_path / "broken.csv")
    end_epoch(whole, 0, loss=0.1, rank=4.0)
    end_epoch(broken, 0, loss=0.1, rank=4.0)
    resumed = MetricsHistory(tmp_path / "broken.csv")
    resumed.load_state_dict(broken.state_dict())
    end_epoch(broken, 1, loss=9.9)  # lost with the kill
    for history in (whole, resumed):
        end_epoch(history, 1, loss=0.25, auc=0.75)
    assert (tmp_path / "broken.csv").read_text() == (tmp_path / "whole.csv").read_text()
    assert (tmp_path / "whole.csv").read_text() == (
        "epoch,step,loss,rank,auc\n0,0,0.10000000149011612,4,\n1,10,0.25,,0.75\n"
    )


@pytest.mark.parametrize(("every", "keep"), [(0, 1), (1, 0)])
def test_latest_refuses_what_would_keep_nothing(every, keep):
    with pytest.raises(ValueError, match="at least 1"):
        Latest(every, keep)
