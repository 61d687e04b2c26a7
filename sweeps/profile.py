"""Profiles: what a sweep file leaves open because it differs from place to place.

A profile says where a sweep runs: what a worker gets there, where results and runs are kept, and
which cluster jobs are given to. Sweep files stay as they are; ``--profile NAME`` takes
``configs/profiles/NAME.yaml``. What a profile says goes before the sweep file, what ``--set`` says
before both.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from resnet_core.credentials import holds_credentials
from resnet_core.problems import InvalidFile, Problem, did_you_mean
from resnet_core.strict import StrictModel
from resnet_core.yaml_source import read_yaml, validate
from sweeps.sections import ResourcesConfig, StorageConfig, TrackingConfig

_SECTIONS = ("resources", "storage", "tracking")


class SubmitConfig(StrictModel):
    """Where jobs are given to."""

    address: str | None = Field(
        default=None,
        pattern=r"^https?://",
        description="Of the Ray dashboard; null: $RAY_API_SERVER_ADDRESS, else http://127.0.0.1:8265.",
    )

    @field_validator("address", mode="before")
    @classmethod
    def _refuse_credentials(cls, address: Any) -> Any:
        if holds_credentials(address):
            raise ValueError("an address with a password in it; set RAY_AUTH_TOKEN instead")
        return address


class Profile(StrictModel):
    """The parts of a sweep file that depend on where it runs; what is left out stays as it was."""

    version: Literal[1]
    resources: ResourcesConfig = ResourcesConfig()
    storage: StorageConfig = StorageConfig()
    tracking: TrackingConfig = TrackingConfig()
    submit: SubmitConfig = SubmitConfig()

    def sets(self) -> list[str]:
        """Everything it says about the sweep, as ``a.b=v``, to stand before a user's own."""
        found = []
        for section in _SECTIONS:
            given = getattr(self, section).model_dump(mode="json", exclude_unset=True)
            found += [f"{section}.{key}={json.dumps(value)}" for key, value in given.items()]
        return found


def load_profile(name: str, sweep_file: Path) -> Profile:
    """Read a profile.

    Args:
        name: As `find_profile` takes it.
        sweep_file: The sweep that is going to run there.

    Raises:
        InvalidFile: If there is none of this name, with the nearest; with every problem in it.
    """
    return validate(Profile, read_yaml(find_profile(name, sweep_file)))


def find_profile(name: str, sweep_file: Path) -> Path:
    """The file of a profile.

    Args:
        name: Of a file in ``profiles/`` beside the sweep file's folder, or in
            ``configs/profiles/`` here; a path, if it ends in ``.yaml``.
        sweep_file: The sweep that is going to run there.

    Raises:
        InvalidFile: If there is none of this name, with the nearest.
    """
    if name.endswith((".yaml", ".yml")):
        return Path(name)
    folders = [sweep_file.absolute().parent.parent / "profiles", Path("configs/profiles")]
    for folder in folders:
        if (file := folder / f"{name}.yaml").is_file():
            return file
    known = sorted({file.stem for folder in folders for file in folder.glob("*.yaml")})
    there = f"; there: {', '.join(known)}" if known else f"; looked in {folders[0]}, {folders[1]}"
    message = f"no profile of this name{did_you_mean(name, known)}{there}"
    raise InvalidFile([Problem(f"--profile {name}", 0, 0, "", message)])
