"""No file that a user or a sweep brings is run as a program: not by a formula, not by a loader."""

import ast
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]
RUNS_CODE = {"eval", "exec", "compile", "__import__", "pickle", "marshal", "shelve", "dill",
             "cloudpickle", "joblib", "yaml.load", "yaml.unsafe_load", "yaml.full_load",
             "os.system", "os.popen"}  # fmt: skip
# Its unpickler makes arrays and nothing else: tests/core/test_cifar_files.py.
HARMLESS = {"resnet_core/data/cifar_files.py": {"pickle"}}
FILES = sorted(path for folder in ("resnet_core", "sweeps")
               for path in (REPOSITORY / folder).rglob("*.py"))  # fmt: skip


def names_in(tree: ast.AST) -> set[str]:
    """What is called, and what is imported."""
    found: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            found.add(node.func.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            found.add(f"{node.value.id}.{node.attr}")
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{one.name}" for one in node.names)}
    return found


def test_nothing_makes_a_program_of_text_or_reads_pickles():
    found = {
        path.relative_to(REPOSITORY).as_posix(): names_in(ast.parse(path.read_text())) & RUNS_CODE
        for path in FILES
    }
    assert {path: names for path, names in found.items() if names} == HARMLESS


def test_torch_loads_weights_only_and_numpy_no_objects():
    for path in FILES:
        for node in ast.walk(ast.parse(path.read_text())):
            if not isinstance(node, ast.Call):
                continue
            called, given = ast.unparse(node.func), {one.arg: one.value for one in node.keywords}
            if called == "torch.load":
                assert ast.unparse(given["weights_only"]) == "True", path
            if called in ("np.load", "numpy.load"):
                assert "allow_pickle" not in given, path  # False, if nothing is said


def test_this_test_sees_what_it_looks_for():
    text = "from yaml import unsafe_load\nimport pickle\nimport os\nos.system('a')\neval('1')\n"
    found = {"yaml.unsafe_load", "pickle", "os.system", "eval"}
    assert names_in(ast.parse(text)) & RUNS_CODE == found
