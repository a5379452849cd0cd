"""Runs the commands that a page names, as a reader would, on less data."""

import logging
import re
import shlex
import sys

import pytest
from hydra.core.hydra_config import HydraConfig

from micromega import cli


@pytest.fixture
def run_commands(repository, tmp_path, monkeypatch, capsys):
    """Run a page's `python …` lines in an empty folder with more settings; give the names of their scripts."""

    def run(page, small):
        monkeypatch.chdir(tmp_path)
        root = logging.getLogger()
        before = root.handlers[:], root.level
        commands = re.findall(r"^python (.*)$", page, flags=re.MULTILINE)
        for command in commands:
            script, *arguments = shlex.split(command)
            monkeypatch.setattr(sys, "argv", [str(repository / script), *arguments, *small.split()])
            HydraConfig.instance().cfg = None  # as in a new process
            getattr(cli, script.removesuffix(".py"))()
            for handler in [handler for handler in root.handlers if handler not in before[0]]:
                root.removeHandler(handler)
                handler.close()
        root.handlers[:], root.level = before
        capsys.readouterr()
        return [command.split(".py")[0] for command in commands]

    return run
