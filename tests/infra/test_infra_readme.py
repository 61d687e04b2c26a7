import re

import pytest

from tests.infra.infra_files import INFRA, PASSWORDS, ROOT

README = (INFRA / "README.md").read_text()
BLOCKS = re.findall(r"^## (.+?)\n(.*?)(?=^## |\Z)", README, flags=re.MULTILINE | re.DOTALL)
PATHS = {title: body for title, body in BLOCKS if "**Tear down**" in body}


def commands(body: str) -> list[list[str]]:
    """Of each block of a section, its commands."""
    return [
        block.strip().splitlines() for block in re.findall(r"^```\n(.*?)^```", body, re.M | re.S)
    ]


@pytest.mark.parametrize("title", PATHS)
def test_each_path_takes_at_most_ten_commands_and_says_what_it_costs(title):
    blocks = commands(PATHS[title])
    assert blocks
    assert all(len(block) <= 10 for block in blocks)
    assert "**Costs**" in PATHS[title]


def test_there_is_a_path_for_each_kind_of_machine():
    assert [title.split(":")[0] for title in PATHS] == ["Compose", "KubeRay", "ray up"]


def test_every_file_that_is_named_is_there():
    named = set(re.findall(r"(?<![\w/])(?:infra|tests|configs)/[\w./-]+\.\w+", README))
    assert len(named) > 8
    for name in named:
        assert (ROOT / name).is_file(), name


def test_every_password_that_compose_asks_for_is_made():
    (made,) = re.findall(r"for n in ([A-Z_0-9 ]+); do", README)
    assert set(made.split()) == set(PASSWORDS)


def test_every_secret_that_the_manifests_read_is_made():
    text = "".join(file.read_text() for file in (INFRA / "kuberay").glob("*.yaml"))
    read = set(re.findall(r"secretKeyRef: \{name: ([\w-]+)", text))
    read |= set(re.findall(r"secretName: ([\w-]+)", text))
    assert read == set(re.findall(r"create secret generic ([\w-]+)", README))


@pytest.mark.parametrize("cloud", ["aws", "gcp"])
def test_the_commands_replace_what_has_to_be_yours(cloud):
    (line,) = [line for line in README.splitlines() if line.endswith(f"> {cloud}.yaml")]
    text = (INFRA / "ray-cluster" / f"{cloud}.yaml").read_text()
    placeholders = re.findall(r's#([^#]+)#"?\$', line)
    assert len(placeholders) == 3
    for placeholder in placeholders:
        assert placeholder in text
        text = text.replace(placeholder, "")
    assert not re.search(r"registry\.example|-0{8}|your-|192\.0\.2", text)


def test_the_image_in_the_job_is_one_that_the_command_replaces():
    text = (INFRA / "kuberay" / "rayjob.yaml").read_text()
    assert 'sed "s#resnet-sweeps:0.1.0#$IMAGE#" infra/kuberay/rayjob.yaml' in README
    assert text.count("resnet-sweeps:0.1.0") == 1
