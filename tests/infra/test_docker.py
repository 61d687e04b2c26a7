import re
import subprocess
import sys
from importlib.metadata import distribution
from pathlib import Path

import psutil
import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.infra.infra_files import IMAGE, INFRA, ROOT

DOCKER = INFRA / "docker"


def instructions(text: str) -> list[tuple[str, str]]:
    """Instruction and the rest of its line, comments left out and continued lines joined."""
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [(line.split(" ", 1)[0], line.split(" ", 1)[1]) for line in joined.splitlines() if line]


DOCKERFILE = instructions((DOCKER / "Dockerfile").read_text())


def of(name: str) -> list[str]:
    return [rest for instruction, rest in DOCKERFILE if instruction == name]


def copied() -> list[str]:
    return [source for rest in of("COPY") for source in rest.split()[:-1]]


def selected(variant: str) -> str:
    return subprocess.run(
        [sys.executable, DOCKER / "runtime_requirements.py", ROOT / "requirements.lock",
         ROOT / "pyproject.toml", variant],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip


def names(lock: str) -> set[str]:
    return set(re.findall(r"^([a-z0-9.-]+)==", lock, flags=re.MULTILINE))


def test_every_instruction_is_one_that_docker_knows():
    known = {"FROM", "SHELL", "RUN", "ARG", "COPY", "WORKDIR", "ENV", "USER", "HEALTHCHECK", "CMD"}
    assert {name for name, _ in DOCKERFILE} <= known


def test_the_base_image_has_an_exact_tag():
    (base,) = of("FROM")
    assert re.fullmatch(r"python:3\.11\.\d+-slim-\w+", base)
    assert IMAGE.fullmatch(base)


def test_the_image_runs_as_a_user_that_is_not_root():
    *_, last = of("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", last)


def test_everything_that_is_copied_is_there():
    assert copied()
    for source in copied():
        assert (ROOT / source).exists(), source


def test_everything_that_is_copied_is_let_through_to_the_build_and_nothing_else():
    lines = (DOCKER / "Dockerfile.dockerignore").read_text().splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    allowed = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    assert allowed == set(copied())


def test_packages_are_installed_by_the_hashes_of_the_lock():
    (install,) = [rest for rest in of("RUN") if "pip install" in rest]
    assert "runtime_requirements.py requirements.lock pyproject.toml" in install
    assert "pip install --no-cache-dir --no-deps --require-hashes -r runtime.lock" in install


def test_no_secret_and_no_address_of_an_index_stands_in_the_dockerfile():
    text = (DOCKER / "Dockerfile").read_text()
    assert not re.search(r"https://|PASSWORD|SECRET|RAY_AUTH_TOKEN=", text)


def test_the_tools_of_developers_are_left_out():
    left_out = names((ROOT / "requirements.lock").read_text()) - names(selected("cuda"))
    assert {"pytest", "ruff", "pyright", "playwright", "hypothesis", "check-jsonschema"} <= left_out


def test_everything_that_the_image_installs_finds_what_it_requires_there():
    kept = names(selected("cuda"))
    for name in sorted(kept):
        try:
            requires = distribution(name).requires or []
        except ImportError:
            continue  # of another platform or Python
        for requirement in map(Requirement, requires):
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                assert canonicalize_name(requirement.name) in kept, f"{name} needs {requirement}"


def test_every_entry_keeps_its_hashes():
    lock = selected("cuda")
    assert len(re.findall(r"^\S+==", lock, flags=re.MULTILINE)) > 100
    for block in re.split(r"^(?=\S)", lock, flags=re.MULTILINE)[1:]:
        assert "--hash=sha256:" in block
        assert block.rstrip("\n")[-1] != "\\"


def test_the_cpu_variant_leaves_out_cuda_and_takes_torch_in_the_locked_version():
    cuda, cpu = selected("cuda"), selected("cpu")
    gone = names(cuda) - names(cpu)
    assert {"torch", "torchvision", "triton", "nvidia-nccl-cu13", "cuda-toolkit"} <= gone
    assert all(re.match(r"torch|nvidia-|cuda-|triton$", name) for name in gone)
    locked = re.findall(r"^torch(?:vision)?==\S+", cuda, flags=re.MULTILINE)
    assert selected("cpu-torch").splitlines() == locked


def test_a_lock_that_was_made_from_another_pyproject_is_refused(tmp_path: Path):
    (tmp_path / "lock").write_text("numpy==2.0 \\\n    --hash=sha256:00\n    # via torch\n")
    done = subprocess.run(
        [sys.executable, DOCKER / "runtime_requirements.py", tmp_path / "lock",
         ROOT / "pyproject.toml", "cuda"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "requirements.lock lacks" in done.stderr


@pytest.fixture
def node(tmp_path: Path):
    """Stands in for `ray start --block`: it has the same words in its command line."""
    script = tmp_path / "ray"
    script.write_text("import time\nprint('up', flush=True)\ntime.sleep(60)\n")
    process = subprocess.Popen(
        [sys.executable, script, "start", "--address=none", "--block"], stdout=subprocess.PIPE
    )
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.wait()


def test_before_its_pod_ends_a_node_is_told_to_leave_and_waited_for(node):
    # Only this process is looked at: the test must not end a Ray of somebody else's.
    program = (
        "import runpy, sys, psutil\n"
        f"psutil.process_iter = lambda attrs: [p for p in psutil.Process({psutil.Process().pid})"
        ".children() if setattr(p, 'info', p.as_dict(attrs)) is None]\n"
        f"runpy.run_path({str(DOCKER / 'leave_node.py')!r}, run_name='__main__')\n"
    )
    asked = subprocess.Popen([sys.executable, "-c", program])
    assert node.wait(timeout=20) == -15
    assert asked.wait(timeout=20) == 0
