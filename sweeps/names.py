"""Names that become folders, and that MLflow and the command line tell sweeps apart by."""

import re

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class InvalidName(ValueError):
    """No name of a sweep or an experiment: it might lead out of the folder that holds them all."""


def check_name(name: str) -> str:
    """Return the name if it is one.

    Raises:
        InvalidName: If it has other characters, too many, or begins with none of the first.
    """
    if not _NAME.fullmatch(name):
        raise InvalidName(
            f"{name[:70]!r} names no folder; use 1 to 64 letters, digits, '.', '_' or '-', "
            "a letter or digit first"
        )
    return name
