"""The files below infra/ as data, and compose's variables filled in as compose fills them in."""

import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
INFRA = ROOT / "infra"

PASSWORDS = ("RAY_AUTH_TOKEN", "POSTGRES_PASSWORD", "S3_SECRET_KEY", "GRAFANA_PASSWORD")
"""What compose.yaml has to be given."""

IMAGE = re.compile(r"[a-z0-9./-]+:v?\d[\w.-]*")
"""An image with a tag that names a version."""

_VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])([^}]*))?\}")


class MissingVariable(ValueError):
    """A variable that has no default is not set; says what compose would say."""


def read_yaml(path: Path) -> Any:
    """The only document of a file."""
    return yaml.safe_load(path.read_text())


def read_documents(path: Path) -> list[dict[str, Any]]:
    """Every document of a file."""
    return list(yaml.safe_load_all(path.read_text()))


def interpolated(text: str, environment: dict[str, str]) -> str:
    """Compose's ``${NAME:?message}`` and ``${NAME:-default}``.

    Raises:
        MissingVariable: With the message, if one without default is not set or empty.
    """

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if given := environment.get(name):
            return given
        if kind == "-":
            return rest
        raise MissingVariable(rest or f"{name} is not set")

    return _VARIABLE.sub(value, text)


def compose(environment: dict[str, str] | None = None) -> dict[str, Any]:
    """compose.yaml with its variables filled in; by default every password is its own name."""
    given = {name: name for name in PASSWORDS} if environment is None else environment
    # Comments speak of variables, too.
    text = re.sub(r"^\s*#.*$", "", (INFRA / "compose.yaml").read_text(), flags=re.MULTILINE)
    return yaml.safe_load(interpolated(text, given))
