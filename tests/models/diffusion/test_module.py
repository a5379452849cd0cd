"""The five models: what they learn, batches that add up, checkpoints, gradients, what is hidden."""

import dataclasses
import io

import numpy as np
import pyarrow as pa
import pytest
import torch
from tiny_diffusion import fit_tiny

from micromega.errors import CheckpointError
from micromega.market import simulate
from micromega.models.diffusion.config import DiffusionDataConfig, DiffusionModelConfig, NetworkConfig
from micromega.models.diffusion.data import DiffusionData, Rows
from micromega.models.diffusion.em import estimate
from micromega.models.diffusion.evidence import gather, log_likelihood
from micromega.models.diffusion.features import COUNT
from micromega.models.diffusion.graph import read_graph
from micromega.models.diffusion.judge import against, known_probabilities
from micromega.models.diffusion.likelihood import negative_log_likelihood
from micromega.models.diffusion.module import DiffusionModule, _hidden

KINDS = ("empirical_bayes", "network", "em_smoothed", "em", "rate")


@pytest.fixture(scope="module")
def cold():
    """A market where a quarter of the edges have no exposures, and which edges these are."""
    market = simulate(seed=1, brands=12, creators=700, posts=12, products=0, view_days=0)
    graph, table = read_graph(market), market.table("exposures")
    chosen = np.random.default_rng(0).random(len(graph.source)) < 0.25
    edge = graph.edge_of(graph.places(table["source_id"]), graph.places(table["target_id"]))
    kept = table.filter(pa.array(~chosen[edge]))
    data = DiffusionData(
        DiffusionDataConfig(), dataclasses.replace(market, tables={**market.tables, "exposures": kept})
    )
    data.setup("fit")
    return data, chosen


def test_the_simulators_probabilities_are_recovered(cold):
    """The network beats one rate, counts add to it, and edges that nobody has seen are told apart."""
    larger, cold = cold
    known = known_probabilities(larger.market, larger.graph)
    model = fit_tiny(larger, "empirical_bayes", epochs=25, hidden=(32, 16), batch_size=512)
    seen = larger.evidence["train"]
    assert (seen.trials[cold] == 0).all()
    rate = np.full(len(known), float(model.fitted[0]))
    combined, network = model.probabilities(larger, seen)[0], model.expected(larger)
    error = {
        name: against(values[~cold], known[~cold])["rmse"]
        for name, values in (("combined", combined), ("network", network), ("rate", rate))
    }
    error["em"] = against(np.nan_to_num(estimate(seen).probability)[~cold], known[~cold])["rmse"]
    assert error["combined"] < error["network"] < 0.95 * error["rate"]
    assert error["em"] > 2 * error["combined"]
    unseen = against(network[cold], known[cold])
    assert unseen["rank_correlation"] > 0.3
    assert unseen["rmse"] < 0.97 * against(rate[cold], known[cold])["rmse"]
    np.testing.assert_allclose(combined[seen.trials == 0], network[seen.trials == 0], rtol=1e-6)
    later = larger.evidence["test"]
    assert log_likelihood(combined, later) > log_likelihood(rate, later)
    assert 10 < model.weight < 1000


def test_batches_add_up_to_the_likelihood_of_the_window(data):
    rng = np.random.default_rng(0)
    edges = len(data.graph.source)
    edge = np.concatenate([rng.choice(edges, size, replace=False) for size in (1, 2, 3, 4) * 60])
    group = np.repeat(np.arange(240), (1, 2, 3, 4) * 60)
    evidence = gather(edge, group, (rng.random(240) < 0.5)[group], edges=edges, shared=True)
    rows = Rows(data.tensors, evidence)
    assert len(rows.start) > 50
    probability = rng.uniform(0.05, 0.9, edges)
    logit = torch.from_numpy(np.log(probability) - np.log1p(-probability))
    total = 0.0
    for part in torch.split(torch.from_numpy(rng.permutation(len(rows))), 33):
        batch = rows[0, part]
        place = data.graph.edge_of(batch["source"].numpy() - 1, batch["target"].numpy() - 1)
        value = negative_log_likelihood(
            logit[place], batch["failures"], batch["successes"], batch["group"], len(batch["groups"])
        )
        total += float(value)
    assert total == pytest.approx(-log_likelihood(probability, evidence), rel=1e-6)


def test_every_parameter_of_the_network_gets_a_gradient(data):
    module = DiffusionModule.begin(DiffusionModelConfig(network=NetworkConfig(free_size=2)), data)
    rows = Rows(data.tensors, data.evidence["train"])
    batch = rows[0, torch.arange(len(rows))]
    with torch.no_grad():
        for effect in (module.network.source_effect, module.network.target_effect):
            effect.normal_()
    module._lost(module.network(module._edges(batch)), batch).backward()
    for name, parameter in module.network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.abs().max() > 0, name


def test_the_prior_of_effects_is_scipys_normal(data):
    from scipy.stats import norm

    network = DiffusionModule.begin(DiffusionModelConfig(network=NetworkConfig(effect_sd=0.3)), data).network
    with torch.no_grad():
        network.source_effect.normal_(std=0.2)
    values = network.source_effect.detach().double().numpy()
    expected = -(norm.logpdf(values, scale=0.3) - norm.logpdf(0, scale=0.3)).sum()
    assert float(network.penalty().detach()) == pytest.approx(expected, rel=1e-5)


def test_eight_rows_can_be_learnt_by_heart(data):
    module = DiffusionModule.begin(DiffusionModelConfig(network=NetworkConfig(dropout=0, effect_sd=100)), data)
    rows = Rows(data.tensors, data.evidence["train"])
    batch = rows[0, torch.arange(8)]
    batch["successes"] = (torch.arange(8) % 2).float()
    batch["failures"] = 1 - batch["successes"]
    optimiser = torch.optim.Adam(module.network.parameters(), lr=0.05)
    for _ in range(150):
        optimiser.zero_grad()
        lost = module._lost(module.network(module._edges(batch)), batch)
        lost.backward()
        optimiser.step()
    assert float(lost.detach()) / 8 < 0.05


def test_what_is_hidden_is_hidden_each_by_itself(data):
    torch.manual_seed(0)
    rows = Rows(data.tensors, data.evidence["train"])
    batch, column = rows[0, torch.arange(len(rows))], data.features.columns.edge.index(COUNT)
    hidden = _hidden(batch, NetworkConfig(hide=0.3), column)
    shares = [
        (hidden["source"] == 0).float(), (hidden["target"] == 0).float(),
        hidden["edge_numbers"][:, column].isnan().float(),
    ]  # fmt: skip
    for share in shares:
        assert float(share.mean()) == pytest.approx(0.3, abs=0.04)
    assert float((shares[0] * shares[1]).mean()) == pytest.approx(0.09, abs=0.03)
    assert not batch["edge_numbers"][:, column].isnan().any(), "the batch itself stays as it is"
    kept = [place for place in range(len(data.features.columns.edge)) if place != column]
    torch.testing.assert_close(hidden["edge_numbers"][:, kept], batch["edge_numbers"][:, kept], equal_nan=True)


def test_accounts_that_training_has_not_met_have_no_effect_of_their_own(data, fitted):
    network = fitted("network").best.network
    met = np.unique(data.graph.target[data.evidence["train"].trials > 0]) + 1
    unmet = np.setdiff1d(np.arange(len(network.seen_target)), met)
    assert not network.seen_target[unmet].any()
    batch = data.tensors.take(torch.arange(1))
    edges = fitted("network")._edges(batch | {"target": torch.tensor([int(unmet[-1])])})
    nobody = fitted("network")._edges(batch | {"target": torch.tensor([0])})
    torch.testing.assert_close(network(edges), network(nobody))


@pytest.mark.parametrize("kind", KINDS)
def test_a_checkpoint_of_tensors_gives_the_same_probabilities(fitted, data, kind):
    module = fitted(kind)
    file = io.BytesIO()
    torch.save({"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}, file)
    file.seek(0)
    restored = DiffusionModule.restore(torch.load(file, weights_only=True))
    for seen in ("train", "all"):
        for before, after in zip(
            module.probabilities(data, data.evidence[seen]), restored.probabilities(data, data.evidence[seen]),
            strict=True,
        ):  # fmt: skip
            np.testing.assert_array_equal(before, after)


@pytest.mark.parametrize("kind", KINDS)
def test_probabilities_are_probabilities_and_what_the_kind_says(fitted, data, kind):
    module, seen = fitted(kind), data.evidence["train"]
    probability, deviation = module.probabilities(data, seen)
    assert np.isfinite(probability).all()
    assert (probability >= 0).all()
    assert (probability <= 1).all()
    rate = seen.successes.sum() / seen.trials.sum()
    if kind == "rate":
        np.testing.assert_allclose(probability, rate)
    if kind == "em":
        shown = seen.trials > 0
        np.testing.assert_allclose(probability[shown], seen.successes[shown] / seen.trials[shown])
        np.testing.assert_allclose(probability[~shown], rate)
    if kind == "em_smoothed":
        weight = module.weight
        np.testing.assert_allclose(probability, (weight * rate + seen.successes) / (weight + seen.trials))
    assert np.isnan(deviation).all() == (kind not in ("empirical_bayes", "em_smoothed"))


def test_an_unfinished_checkpoint_is_refused(data):
    module = DiffusionModule.begin(DiffusionModelConfig(), data)
    with pytest.raises(CheckpointError, match="stopped before"):
        DiffusionModule.restore({"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)})


def test_shared_outcomes_are_learnt_too(small_market):
    data = DiffusionData(DiffusionDataConfig(outcome="shared"), small_market)
    data.setup("fit")
    assert len(data.evidence["train"].start) > 50
    model = fit_tiny(data, "empirical_bayes")
    known = known_probabilities(small_market, data.graph)
    probability, _ = model.probabilities(data, data.evidence["train"])
    rate = np.full(len(known), float(model.fitted[0]))
    assert against(probability, known)["rmse"] < against(rate, known)["rmse"]
    assert against(probability, known)["correlation"] > 0.2
