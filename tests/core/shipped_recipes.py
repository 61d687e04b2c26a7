"""The recipes in `configs/recipes`: loaded by name, and the comments that they begin with."""

import re
from pathlib import Path

from resnet_core import Recipe

FOLDER = Path(__file__).parents[2] / "configs" / "recipes"


def load(name: str, *sets: str) -> Recipe:
    return Recipe.from_yaml(FOLDER / f"{name}.yaml", sets)


def header(file: Path) -> dict[str, str]:
    """The comment that a file begins with: what stands behind each key."""
    found: dict[str, str] = {}
    key = "title"
    for line in file.read_text().splitlines():
        if not line.startswith("#"):
            break
        if match := re.match(r"#   (\w+): +(.*)", line):
            key, line = match[1], match[2]
        found[key] = f"{found.get(key, '')}\n{line.lstrip('# ')}".strip()
    return found
