"""Misspelt settings on the command line, caught before Hydra, whose message names neither file nor choices."""

import dataclasses
import difflib
import re
import sys
from collections.abc import Sequence

from micromega.config.schema import config_classes

_SETTING = re.compile(r"^([a-z_]+)\.([A-Za-z_0-9]+)[^=]*=")


def check_overrides(arguments: Sequence[str], *more: type) -> None:
    """Leave with status 2 and a helpful line if a setting of a typed group does not exist.

    Args:
        arguments: the command line without the program's name. What starts with + or ~ is Hydra's business.
        more: config classes that are not found by the name of their module.
    """
    fields: dict[str, set[str]] = {}
    for cls in (*config_classes().values(), *more):
        group = str(vars(cls)["config_group"]).split("/", 1)[0]
        fields.setdefault(group, {"_target_"}).update(field.name for field in dataclasses.fields(cls))
    for argument in arguments:
        found = _SETTING.match(argument)
        if found is None or found[1] not in fields or found[2] in fields[found[1]]:
            continue
        group, key = found[1], found[2]
        known = sorted(fields[group] - {"_target_"})
        close = difflib.get_close_matches(key, known, n=1)
        guess = f" Did you mean {group}.{close[0]}?" if close else ""
        sys.stderr.write(
            f"{group}.{key}: unknown key, on the command line ({argument}).{guess} "
            f"Known keys of conf/{group}/: {', '.join(known)}.\n"
        )
        sys.exit(2)
