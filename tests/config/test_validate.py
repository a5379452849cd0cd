"""Configurations are checked when they are composed: keys, types, ranges, targets."""

import subprocess
import sys

import pytest
from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from omegaconf import OmegaConf, open_dict

from micromega.config import schema, signature
from micromega.config.help import help_text
from micromega.config.overrides import check_overrides
from micromega.config.validate import instantiate, validate
from micromega.errors import ConfigError
from micromega.models.mir.config import MIRDataConfig, MIRModelConfig


@pytest.fixture(scope="module", autouse=True)
def registered():
    schema.register()
    signature.register_resolvers()


def composed(repository, *overrides, task="train"):
    GlobalHydra.instance().clear()
    with initialize_config_dir(str(repository / "conf"), version_base="1.3"):
        config = compose(task, overrides=[f"paths.root={repository}", *overrides])
    with open_dict(config):
        config.pop("hydra", None)
    return config


def experiments(repository):
    folder = repository / "conf" / "experiment"
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


def test_every_experiment_composes_and_is_valid_for_every_command(repository):
    names = experiments(repository)
    assert {"mir/simulated", "mir/instagram_2017"} <= set(names)
    for name in names:
        for task in ("train", "evaluate", "optimize"):
            assert validate(composed(repository, f"experiment={name}", task=task)).task == task


@pytest.mark.parametrize("group", ["debug", "logger", "callbacks", "trainer", "hparams_search"])
def test_every_choice_of_a_group_composes(repository, group):
    for path in sorted((repository / "conf" / group).glob("*.yaml")):
        config = composed(repository, f"{group}={path.stem}", "++hydra.runtime.output_dir=/nowhere")
        OmegaConf.to_container(config, resolve=False)


def test_groups_become_objects_of_their_classes(repository):
    request = validate(composed(repository, "data.list_length=4", "model.dropout=0.25"))
    assert isinstance(request.data, MIRDataConfig)
    assert request.data.list_length == 4
    assert isinstance(request.model, MIRModelConfig)
    assert request.model.dropout == 0.25


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["+model.hiden_size=3"], ["model.hiden_size", "unknown key", "conf/model/mir.yaml", "hidden_size"]),
        (["model.dropout=1.5"], ["model.dropout", "less than 1", "1.5", "conf/model/mir.yaml"]),
        (["data.list_length=1"], ["data.list_length", "greater than or equal to 2", "got 1"]),
        (["model.learning_rate=nan"], ["model.learning_rate", "got nan"]),
        (["model.learning_rate=fast"], ["model.learning_rate", "valid number", "'fast'"]),
        (["data.label=some"], ["data.label", "'zero' or 'similarity'", "'some'"]),
        (["seed=-1"], ["seed", "greater than or equal to 0"]),
        (["+speed=3"], ["speed", "unknown key", "Known keys"]),
        (["+trainer.max_epoch=3"], ["max_epoch", "Did you mean max_epochs"]),
        (["+callbacks.best.moniter=x"], ["callbacks.best.moniter", "ModelCheckpoint", "Did you mean monitor"]),
    ],
)
def test_wrong_values_are_named_with_file_key_value_and_choices(repository, overrides, words):
    with pytest.raises(ConfigError) as error:
        validate(composed(repository, *overrides), {"model": "mir", "data": "mir"})
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["data.hard_negatives=4"], ["data.hard_negatives is for data.lists=pairs", "conf/data/mir.yaml"]),
        (["model.temperature=0.2"], ["model.temperature is for model.score=cosine", "conf/model/mir.yaml"]),
        (["model.creator_choice=1"], ["model.creator_choice is for model.loss=softmax or info_nce"]),
        (["model.weight_decay=0.1"], ["model.weight_decay is for model.optimiser=adamw"]),
        (
            ["model.modality_dropout=0.2", "model.shared_directions=8"],
            ["model.modality_dropout has no modality to hide behind model.shared_directions"],
        ),
    ],
)
def test_settings_that_would_do_nothing_are_refused(repository, overrides, words):
    with pytest.raises(ConfigError) as error:
        validate(composed(repository, *overrides), {"model": "mir", "data": "mir"})
    for word in words:
        assert word in str(error.value)


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.hard_negatives=4", "data.lists=pairs", "model.loss=softmax"],
        ["model.temperature=0.2", "model.score=cosine"],
        ["model.creator_choice=1", "model.loss=info_nce", "data.lists=pairs"],
        ["model.weight_decay=0.1", "model.optimiser=adamw"],
        ["model.modality_dropout=0.2"],
        ["model.shared_directions=8"],
    ],
)
def test_the_same_settings_are_taken_where_they_do_something(repository, overrides):
    assert validate(composed(repository, *overrides)).task == "train"


def test_unknown_plain_overrides_are_refused_by_hydra(repository):
    with pytest.raises(Exception, match="hiden_size"):
        composed(repository, "model.hiden_size=3")


MALICIOUS = [
    "builtins.open",
    "builtins.eval",
    "os.system",
    "subprocess.run",
    "pathlib.Path.write_text",
    "torch.hub.load",
    "torch.load",
    "pickle.loads",
    "shutil.rmtree",
    "importlib.import_module",
    "pytorch_lightning.callbacks.model_checkpoint.shutil.rmtree",
    "pytorch_lightning.callbacks.model_checkpoint.os.remove",
    "pytorch_lightning.loggers.csv_logs.os.system",
    "pytorch_lightning.utilities.migration.migrate_checkpoint",
    "micromega.files.write_text_atomically",
    "micromega.market.market.write_market",
    "hydra.utils.call",
]


def test_targets_outside_the_list_are_refused_before_anything_runs(repository):
    config = composed(repository, "+logger.x._target_=none", "+trainer.profiler._target_=none")
    for target in MALICIOUS:
        for place in ("callbacks.best", "logger.x", "trainer.profiler", "model"):
            tried = config.copy()
            OmegaConf.update(tried, f"{place}._target_", target)
            with pytest.raises(ConfigError, match=r"allowed|cannot be imported"):
                validate(tried)


def test_a_nested_target_is_found_too(repository):
    with pytest.raises(ConfigError, match="not allowed"):
        validate(composed(repository, "+callbacks.best.filename._target_=os.getcwd"))


def test_allowed_classes_are_built_with_their_arguments():
    stopping = instantiate(
        {"_target_": "pytorch_lightning.callbacks.EarlyStopping", "monitor": "val/loss", "patience": 4}
    )
    assert stopping.patience == 4


def test_help_names_every_group(repository):
    done = subprocess.run(
        [sys.executable, "train.py", "--help"], cwd=repository, capture_output=True, text=True, check=True, timeout=60
    )
    assert done.stdout.strip() == help_text("train", repository / "conf").strip()
    for word in ("experiment", "mir/instagram_2017", "market", "--multirun", "usage"):
        assert word in done.stdout


def test_help_imports_nothing_heavy(repository):
    code = (
        "import sys; sys.argv = ['train.py', '--help']\n"
        "from micromega.cli import train; train()\n"
        "heavy = {'torch', 'pytorch_lightning', 'pyarrow', 'cvxpy', 'wandb', 'numpy', 'scipy'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], cwd=repository, check=True, capture_output=True, timeout=60)


@pytest.mark.parametrize("argument", ["model.hiden_size=3", "data.list_lenght=4", "problem.budgt=7"])
def test_misspelt_settings_leave_with_a_guess(argument, capsys):
    with pytest.raises(SystemExit) as left:
        check_overrides(["seed=1", argument])
    assert left.value.code == 2
    told = capsys.readouterr().err
    for word in (argument, "unknown key", "Did you mean", "Known keys"):
        assert word in told


def test_settings_that_exist_and_hydras_own_business_pass():
    check_overrides(
        ["model.dropout=0.1", "+model.new=1", "hydra.run.dir=x", "problem.posts_per_event.min=3", "--multirun"]
    )
