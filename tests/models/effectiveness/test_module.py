"""The five models: sums that are exact, what folds may see, checkpoints, what is learnt."""

import dataclasses
import io
import itertools

import numpy as np
import pytest
import torch
from tiny_effectiveness import fit_tiny

from micromega.errors import CheckpointError
from micromega.models.effectiveness.config import EffectivenessModelConfig
from micromega.models.effectiveness.domains import split_by_domain
from micromega.models.effectiveness.features import DOMAINS, Features
from micromega.models.effectiveness.module import EffectivenessModule
from micromega.models.effectiveness.network import Standard
from micromega.models.effectiveness.predictor import NETWORK

KINDS = ("hybrid", "mlp", "trees", "additive", "creator_mean")
pytestmark = pytest.mark.filterwarnings("ignore:.*does not have many workers")


@pytest.fixture(scope="module")
def test_features(data):
    return data.features.take(data.split.rows["test"])


@pytest.mark.parametrize("kind", KINDS)
def test_predictions_split_into_constant_and_three_parts(fitted, data, test_features, kind):
    module = fitted(kind)
    rows = test_features.take(slice(0, 25))
    references = data.features.take(data.split.rows["train"][-6:])
    constant, parts = split_by_domain(module, rows, references)
    assert parts.shape == (25, len(DOMAINS))
    np.testing.assert_allclose(constant + parts.sum(axis=1), module.predict_log(rows), atol=1e-4)
    if kind == "creator_mean":  # it reads the history alone
        np.testing.assert_allclose(parts[:, [0, 2]], 0, atol=1e-12)
        assert np.abs(parts[:, 1]).max() > 0.1


def test_shapley_is_the_mean_over_all_orders(fitted, data, test_features):
    module = fitted("mlp")
    rows, references = test_features.take(slice(0, 3)), data.features.take(data.split.rows["train"][:2])
    _, parts = split_by_domain(module, rows, references)

    def value(known):
        total = 0
        for other in range(2):
            mixed = [np.array(a) for a in (rows.categories, rows.numbers)]
            for domain in set(range(3)) - set(known):
                if domain == 0:
                    mixed[0][:] = references.categories[other]
                columns = np.array(module.columns.domains) == domain
                mixed[1][:, columns] = references.numbers[other, columns]
            total += module.predict_log(Features(categories=mixed[0], numbers=mixed[1])) / 2
        return total

    expected = np.zeros((3, 3))
    for order in itertools.permutations(range(3)):
        for place, player in enumerate(order):
            expected[:, player] += (value(order[: place + 1]) - value(order[:place])) / 6
    np.testing.assert_allclose(parts, expected, atol=1e-5)


def test_parts_of_the_additive_model_depend_on_their_own_domain_alone_and_are_centred(fitted, data, test_features):
    module = fitted("additive")
    _, parts = split_by_domain(module, data.features.take(data.split.rows["train"]), test_features)
    np.testing.assert_allclose(parts.mean(axis=0), 0, atol=1e-4)
    assert (parts.std(axis=0) > 1e-3).all()
    _, before = split_by_domain(module, test_features, test_features)
    domains = np.array(module.columns.domains)
    for domain in range(3):
        numbers = test_features.numbers.copy()
        numbers[:, domains == domain] = np.nan_to_num(numbers[:, domains == domain]) + 1
        _, after = split_by_domain(module, dataclasses.replace(test_features, numbers=numbers), test_features)
        moved = np.abs(after - before).max(axis=0) > 1e-6
        assert moved.tolist() == [place == domain for place in range(3)]


def test_networks_of_a_fold_do_not_learn_from_its_rows(fitted, data):
    """Other outcomes in a fold leave the gradient of the network that leaves it out as it is, and no other's."""
    train = data.split.rows["train"]
    fold = data.folds(3, 0)[train]
    changed = data.log_outcome[train].copy()
    changed[fold == 1] += np.random.default_rng(0).normal(size=(fold == 1).sum())
    module = EffectivenessModule.begin(fitted("hybrid").config, data).eval()
    rows = data.features.take(train)
    gradients = []
    for outcome in (data.log_outcome[train], changed):
        module.network.zero_grad()
        found = module.network(torch.from_numpy(rows.categories), torch.from_numpy(rows.numbers))
        error = found - module.network.standard_outcome(torch.from_numpy(outcome).float())
        (error.square() * module.weights(torch.from_numpy(train))).sum().backward()
        gradients.append(module.network.parts[0].weights[0].grad.clone())
    equal = [torch.allclose(before, after) for before, after in zip(*gradients, strict=True)]
    assert equal == [False, True, False, False]


def test_folds_hold_whole_events_and_are_about_equal(data):
    fold, event = data.folds(5, 0), data.split.tuples.event
    assert all(len(np.unique(fold[event == one])) == 1 for one in np.unique(event))
    events = np.unique(event)
    count = np.bincount([fold[event == one][0] for one in events], minlength=5)
    assert count.min() > len(events) / 8


def test_out_of_fold_columns_come_from_the_network_of_the_fold(fitted, data):
    module = fitted("hybrid")
    rows = data.split.rows["train"][:40]
    features, fold = data.features.take(rows), data.folds(3, 0)[rows]
    columns = module.tree_columns(features, fold)
    values, vectors = module.network_answers(features)
    place = module.tree_names().index(NETWORK)
    np.testing.assert_allclose(columns[:, place], values[fold, np.arange(40)], rtol=1e-6)
    frame = module.frames()[int(fold[0])]
    np.testing.assert_allclose(columns[0, place + 1 :], frame.apply(vectors[fold[0], 0]), rtol=1e-4, atol=1e-5)
    fresh = module.tree_columns(features)
    np.testing.assert_allclose(fresh[:, place], values[:-1].mean(axis=0), rtol=1e-6)
    assert len(module.tree_names()) == columns.shape[1]


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_tensors_gives_the_same_predictions(fitted, data, test_features, kind):
    module = fitted(kind)
    file = io.BytesIO()
    torch.save({"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}, file)
    file.seek(0)
    restored = EffectivenessModule.restore(torch.load(file, weights_only=True))
    tier = data.tier[data.split.rows["test"]]
    for name, value in vars(module.predict(test_features, tier)).items():
        np.testing.assert_array_equal(vars(restored.predict(test_features, tier))[name], value, err_msg=name)


def test_an_unfinished_checkpoint_is_refused(data):
    module = EffectivenessModule.begin(EffectivenessModelConfig(kind="mlp"), data)
    with pytest.raises(CheckpointError, match="stopped before"):
        EffectivenessModule.restore({"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)})


def test_no_stage_but_calibration_sees_the_calibration_window(data):
    """With other outcomes there, networks and trees are the same to the last bit; the widths are not."""
    first = fit_tiny(data, "hybrid")
    kept, rows = data.log_outcome, data.split.rows["calibrate"]
    changed = kept.copy()
    changed[rows] += np.random.default_rng(0).normal(size=len(rows))
    data.__dict__["log_outcome"] = changed
    try:
        second = fit_tiny(data, "hybrid")
    finally:
        data.__dict__["log_outcome"] = kept
    before, after = first.state_dict(), second.state_dict()
    own = {f"fitted.{name}" for name in ("score", "smearing", "deviation")}
    different = {name for name in before if not torch.equal(before[name], after[name])}
    assert different == own


def test_means_are_in_natural_units(fitted, data):
    module = fitted("trees")
    rows = data.split.rows["calibrate"]
    found = module.predict(data.features.take(rows), data.tier[rows])
    assert 0.8 < data.past.outcome[rows].sum() / found.mean.sum() < 1.25
    assert found.mean.mean() > np.expm1(found.log).mean()  # E[y] and not exp(E[log y])
    standardised = (data.past.outcome[rows] - found.mean) / found.deviation
    np.testing.assert_allclose(np.mean(standardised**2), 1, rtol=1e-6)


def test_gaps_have_the_mean_and_a_mark_and_constants_say_nothing():
    numbers = torch.tensor([[1.0, 5.0, float("nan")], [3.0, 5.0, float("nan")], [float("nan"), 5.0, float("nan")]])
    standard = Standard(3)
    standard.fit(numbers)
    found = standard(torch.cat([numbers, torch.tensor([[2.0, 9.0, 7.0]])]))
    np.testing.assert_allclose(found[:3, 0], [-1, 1, 0], atol=1e-6)
    assert (found[:, [1, 2, 4, 5]] == 0).all()  # never varied in training, whatever comes later
    assert found[2, 3] > 1 > 0 > found[0, 3]


def test_unknown_creators_get_the_unknown_embedding(fitted, data, test_features):
    module = fitted("mlp")
    part = module.best_network.parts[0]
    unseen = np.flatnonzero(~part.get_buffer("seen_0")[0].numpy())
    unseen = unseen[unseen > 0]
    assert len(unseen)
    rows = test_features.take(slice(0, 10))
    categories = rows.categories.copy()
    categories[:, 0] = 0
    as_unknown = module.predict_log(dataclasses.replace(rows, categories=categories))
    categories = categories.copy()
    categories[:, 0] = unseen[0]
    np.testing.assert_array_equal(module.predict_log(dataclasses.replace(rows, categories=categories)), as_unknown)
