"""Checkpoints are whole or absent, never run code, and the newest one that can be trusted is found."""

import errno
import os
import pickle
import random
import zipfile

import pytest
import torch
from fingerprints import content

from micromega.errors import CheckpointError
from micromega.files import WriteError, remove_leftovers, write_atomically
from micromega.runs.checkpoint import AtomicCheckpointIO, best, load_checkpoint, newest_valid, remove_older


def save(folder, name, value=1.0, moment="batch"):
    path = folder / f"{name}.ckpt"
    AtomicCheckpointIO().save_checkpoint(content(value, moment), path)
    return path


def test_what_is_saved_is_loaded(tmp_path):
    path = save(tmp_path / "new" / "folder", "latest-step-000000001", 3.5)
    assert torch.equal(load_checkpoint(path)["state_dict"]["w"], torch.full((500,), 3.5))
    assert [item.name for item in path.parent.iterdir()] == [path.name]


def test_storage_options_are_refused(tmp_path):
    with pytest.raises(TypeError, match="storage options"):
        AtomicCheckpointIO().save_checkpoint(content(), tmp_path / "a.ckpt", storage_options={"a": 1})


class FullDisk:
    """Fail as a full disk does, in the middle of torch's writing."""

    def __reduce__(self):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_full_disk_leaves_the_old_checkpoint_and_names_the_path(tmp_path):
    path = save(tmp_path, "latest-step-000000001", 2.0)
    with pytest.raises(CheckpointError, match=r"No space left on device, .* bytes are free") as caught:
        AtomicCheckpointIO().save_checkpoint({"state_dict": {"w": torch.ones(9)}, "x": FullDisk()}, path)
    assert str(path) in str(caught.value)
    assert load_checkpoint(path)["state_dict"]["w"][0] == 2.0
    assert [item.name for item in tmp_path.iterdir()] == [path.name]


def test_full_disk_behind_another_error_is_named(tmp_path):
    def write(file):
        try:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError:
            raise RuntimeError("unexpected pos 16192 vs 16100")  # noqa: B904  (as torch does)

    with pytest.raises(WriteError, match="No space left on device"):
        write_atomically(tmp_path / "a", write)
    assert not list(tmp_path.iterdir())


def test_a_defect_of_the_writer_stays_what_it_is(tmp_path):
    with pytest.raises(ZeroDivisionError):
        write_atomically(tmp_path / "a", lambda file: file.write(b"x" * (1 // 0)))
    assert not list(tmp_path.iterdir())


def test_a_folder_that_is_none(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(CheckpointError, match=r"cannot be written"):
        AtomicCheckpointIO().save_checkpoint(content(), tmp_path / "file" / "a.ckpt")


def test_missing_and_empty_checkpoints(tmp_path):
    with pytest.raises(CheckpointError, match=r"no such checkpoint. Train first"):
        load_checkpoint(tmp_path / "none.ckpt")
    torch.save({"weights": 1}, tmp_path / "other.ckpt")
    with pytest.raises(CheckpointError, match="holds no model weights"):
        load_checkpoint(tmp_path / "other.ckpt")


def test_no_truncation_goes_unnoticed(tmp_path):
    path = save(tmp_path, "latest-step-000000001")
    whole = path.read_bytes()
    for length in range(0, len(whole), 61):
        path.write_bytes(whole[:length])
        with pytest.raises(CheckpointError, match=r"latest-step-000000001.ckpt: "):
            load_checkpoint(path)


def test_no_flipped_bit_changes_what_is_loaded(tmp_path):
    """A bit anywhere in the file: refused, or the content is what it was."""
    path = save(tmp_path, "latest-step-000000001")
    whole, draw, refused = path.read_bytes(), random.Random(0), 0
    for _ in range(300):
        damaged = bytearray(whole)
        damaged[draw.randrange(len(whole))] ^= 1 << draw.randrange(8)
        path.write_bytes(damaged)
        try:
            held = load_checkpoint(path)
        except CheckpointError:
            refused += 1
        else:
            assert torch.equal(held["state_dict"]["w"], torch.ones(500))
    assert refused > 100


class Exploit:
    def __init__(self, marker):
        self.marker = marker

    def __reduce__(self):
        return os.system, (f"touch {self.marker}",)


@pytest.mark.parametrize("kind", ["pickle", "torch", "old torch format"])
def test_no_checkpoint_runs_code(tmp_path, kind):
    path, evil = tmp_path / "a.ckpt", {"state_dict": {"w": Exploit(tmp_path / "marker")}}
    if kind == "pickle":
        path.write_bytes(pickle.dumps(evil))
    else:
        torch.save(evil, path, _use_new_zipfile_serialization=kind == "torch")
    with pytest.raises(CheckpointError, match=r"a.ckpt: cannot be read"):
        load_checkpoint(path)
    assert not (tmp_path / "marker").exists()


def test_a_zip_bomb_of_names_is_no_checkpoint(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.ckpt", "w") as archive:
        archive.writestr("../../evil", "x")
    with pytest.raises(CheckpointError):
        load_checkpoint(tmp_path / "a.ckpt")


def test_the_newest_whole_one_is_found_and_damage_is_said(tmp_path, caplog):
    assert newest_valid(tmp_path) is None
    assert newest_valid(tmp_path / "none") is None
    paths = [save(tmp_path, f"latest-step-{step:09d}", step) for step in (9, 10, 100)]
    save(tmp_path, "best-step-000000200")
    (tmp_path / ".latest-step-000000300.ckpt.x.tmp").write_bytes(b"half")
    assert newest_valid(tmp_path) == paths[2]
    paths[2].write_bytes(paths[2].read_bytes()[:-50])
    assert newest_valid(tmp_path) == paths[1]
    assert "Passed over a damaged checkpoint" in caplog.text
    assert paths[2].name in caplog.text
    paths[1].write_text("text")
    paths[0].write_bytes(b"")
    assert newest_valid(tmp_path) is None


def test_one_saved_while_an_epoch_ended_is_not_resumed_from(tmp_path, caplog):
    caplog.set_level("INFO")
    older = save(tmp_path, "latest-step-000000005")
    save(tmp_path, "mine-step-000000006", moment=None)
    AtomicCheckpointIO().save_checkpoint({"state_dict": {}}, tmp_path / "foreign-step-000000007.ckpt")
    assert newest_valid(tmp_path) == older
    assert caplog.text.count("saved while an epoch ended") == 2


def test_the_best_is_evaluated_and_the_latest_where_it_is_damaged(tmp_path, caplog):
    with pytest.raises(CheckpointError, match=r"no usable checkpoint. Run train.py"):
        best(tmp_path)
    latest = save(tmp_path, "latest-step-000000050")
    assert best(tmp_path) == latest
    chosen = save(tmp_path, "best-step-000000020")
    assert best(tmp_path) == chosen
    chosen.write_text("text")
    assert best(tmp_path) == latest
    assert chosen.name in caplog.text


def test_older_ones_go_and_later_leftovers_too(tmp_path):
    for step in (1, 2, 3, 4, 9):
        save(tmp_path, f"latest-step-{step:09d}")
    kept = {save(tmp_path, "best-step-000000001"), save(tmp_path, "signal-step-000000005")}
    remove_older(tmp_path, step=5, keep=2)
    assert set(tmp_path.iterdir()) == kept | {tmp_path / "latest-step-000000004.ckpt"}


def test_leftovers_of_killed_writers_go_and_nothing_else(tmp_path):
    (tmp_path / "checkpoints").mkdir()
    left = tmp_path / "checkpoints" / f".latest.ckpt.{'0f' * 16}.tmp"
    others = [tmp_path / ".mine.tmp", tmp_path / "a.tmp", tmp_path / "metrics.csv"]
    for path in (left, *others):
        path.write_text("")
    remove_leftovers(tmp_path)
    assert not left.exists()
    assert all(path.exists() for path in others)
