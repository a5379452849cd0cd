"""`python -m micromega.market`: look at data, and import them.

An entry point, imported by nothing: it may join what lies left and right of it, the market and the report.
"""

import argparse
import dataclasses
import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from micromega.errors import ConfigError, DataError, MicromegaError

WIDTH = 120  # characters where the output is no terminal


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: of the command line; those of the process by default.

    Returns:
        Exit status: 0, or that of the error.
    """
    parser = _parser()
    wanted, rest = parser.parse_known_args(arguments)
    if rest:  # argparse takes KEY=VALUE only before the options
        if wanted.command != "import" or any(word.startswith("-") for word in rest):
            parser.error(f"unrecognized arguments: {' '.join(rest)}")
        wanted.settings += rest
    logging.basicConfig(level=logging.WARNING, format="%(message)s")
    try:
        (_inspect if wanted.command == "inspect" else _import)(wanted)
    except MicromegaError as error:
        sys.stderr.write(f"{error}\n")  # the message is for the user; a traceback would hide it
        return error.exit_status
    except BrokenPipeError:  # the reader, for instance `head`, has seen enough
        sys.stderr.close()
        return 0
    except OSError as error:  # a folder that we may not read, a disk that is full
        if error.filename is None:
            raise
        sys.stderr.write(f"{error.filename}: {error.strerror}.\n")
        return DataError.exit_status
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m micromega.market", description="Look at data, and import them.")
    commands = parser.add_subparsers(dest="command", required=True)
    look = commands.add_parser("inspect", help="what data hold, which models can run, what is suspicious")
    look.add_argument("path", type=Path, help="a market's folder, a CSV or Parquet file, or a folder of such")
    look.add_argument("--html", type=Path, metavar="FILE", help="write the card as one HTML page, too")
    bring = commands.add_parser(
        "import",
        help="make a market of a public data set or of your own files; `import -h` lists them",
        usage="%(prog)s [-h] [--on-bad-rows {error,drop}] NAME PATH TARGET [KEY=VALUE ...]",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        add_help=False,
    )
    bring.add_argument("-h", "--help", nargs=0, action=_ImportHelp, help="show this help message and exit")
    bring.add_argument("name", metavar="NAME", help="one of the names below; `mapped` for your own files")
    bring.add_argument(
        "path",
        metavar="PATH",
        help="folder of the data set; edge_list: the file; mapped: the YAML file of a column map",
    )
    bring.add_argument("target", metavar="TARGET", type=Path, help="folder to make")
    bring.add_argument(
        "settings",
        metavar="KEY=VALUE",
        nargs="*",
        help="further settings, if any, for instance platform=youtube; market.platform=youtube is the same",
    )
    for command in (look, bring):
        command.add_argument(
            "--on-bad-rows", choices=("error", "drop"), default="error", help="stop, or leave them out"
        )
    return parser


class _ImportHelp(argparse.Action):
    """Help that lists the data sets; they are looked up only when it is asked for, since that takes a second."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from micromega.market.inspect import importers  # noqa: PLC0415

        lines = [f"  {name:28}{(choice.__doc__ or '').splitlines()[0]}" for name, choice in sorted(importers().items())]
        parser.epilog = "\n".join(("names:", *lines))
        parser.print_help()
        parser.exit()


def _inspect(wanted: argparse.Namespace) -> None:
    from rich.console import Console  # noqa: PLC0415 (`--help` shall be quick)

    from micromega.market.inspect import inspect_files, inspect_market, is_market  # noqa: PLC0415
    from micromega.market.market import Market  # noqa: PLC0415
    from micromega.report.terminal_card import show  # noqa: PLC0415

    if is_market(wanted.path):
        try:
            with _silence():  # the card lists dropped rows itself
                card = inspect_market(Market.load(wanted.path, on_bad_rows=wanted.on_bad_rows))
        except DataError as error:
            if wanted.on_bad_rows == "drop" or "on_bad_rows=drop" not in str(error):  # dropping rows would not help
                raise
            raise DataError(f"{error}\nTo see the rest all the same: inspect … --on-bad-rows drop") from error
    else:
        card = inspect_files(wanted.path)
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH)
    show(card, console)
    if wanted.html is not None:
        _write_page(card, wanted.html)
        sys.stdout.write(f"written: {wanted.html}\n")


@contextmanager
def _silence() -> Iterator[None]:
    log = logging.getLogger("micromega.market")
    usual = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(usual)


def _write_page(card: Any, path: Path) -> None:
    from micromega.files import write_text_atomically  # noqa: PLC0415
    from micromega.report.data_card import render  # noqa: PLC0415

    if not path.parent.is_dir():
        raise ConfigError(f"--html: there is no folder {path.parent}.")
    write_text_atomically(path, render(card))


def _import(wanted: argparse.Namespace) -> None:
    from micromega.market.inspect import importers  # noqa: PLC0415
    from micromega.market.loss import alarm  # noqa: PLC0415

    known = importers()
    if wanted.name not in known:
        near = get_close_matches(wanted.name, known, 1)
        hint = f'Did you mean "{near[0]}"? ' if near else ""
        raise ConfigError(f'There is no importer called "{wanted.name}". {hint}There are: {", ".join(sorted(known))}.')
    config = _configured(known[wanted.name], wanted)
    settings = dataclasses.asdict(config)
    source = Path(settings.pop("path"))
    module = import_module(f"micromega.market.importers.{wanted.name}")
    try:
        with _silence():  # what is dropped stands at the end
            market = module.import_folder(source, wanted.target, **settings)
    except DataError as error:
        if "market.path" not in str(error):
            raise
        raise DataError(f"{error}\n(market.path is the PATH of this command: {wanted.path})") from error
    for name, table in market.tables.items():
        sys.stdout.write(f"{name:12} {table.num_rows:>12,} rows\n")
    for note in market.notes:
        sys.stdout.write(f"· {note}\n")
    for name, loss in market.dropped.items():
        sys.stdout.write(f"bad rows: {name} {loss.words}\n")
    if loud := alarm(market.dropped):
        sys.stdout.flush()  # so that it stands below the numbers
        sys.stderr.write(f"{loud}\n")
    sys.stdout.write(f"written: {wanted.target}\nlook at it: python -m micromega.market inspect {wanted.target}\n")


def _configured(choice: type, wanted: argparse.Namespace) -> Any:
    """The importer's settings, checked as those of a config file are."""
    fields = {field.name for field in dataclasses.fields(choice)} - {"path"}
    given: dict[str, str] = {"on_bad_rows": wanted.on_bad_rows}
    for setting in wanted.settings:
        key, equals, text = setting.removeprefix("market.").partition("=")  # as train.py and the messages call it
        if not equals or key not in fields:
            allowed = ", ".join(f"{name}=…" for name in sorted(fields)) or "none"
            raise ConfigError(f'"{setting}" is no setting of {wanted.name}. Settings are: {allowed}.')
        given[key] = text
    try:
        return choice(path=wanted.path, **given)
    except ValidationError as error:
        first = error.errors()[0]
        raise ConfigError(f"{'.'.join(map(str, first['loc']))}: {first['msg']} (got {first['input']!r}).") from error


if __name__ == "__main__":
    sys.exit(main())
