from typing import Literal

import pytest
from pydantic import Field

from resnet_core.core_yaml import read_document, write_document
from resnet_core.duration import Duration
from resnet_core.strict import StrictModel
from resnet_core.yaml_source import InvalidFile, read_yaml, validate


class Sgd(StrictModel):
    learning_rate: float = Field(gt=0)
    nesterov: bool = False


class Optimizer(StrictModel):
    sgd: Sgd | None = None
    clip: float | Literal["auto"] = "auto"


class Recipe(StrictModel):
    name: Literal["resnet18", "resnet50"]
    optimizer: Optimizer
    warmup: Duration = Duration.parse("1ep")
    stages: tuple[int, ...] = (1,)


@pytest.fixture
def problems(tmp_path):
    """The problems of a text, without the folder's name."""

    def read(text, sets=()):
        file = tmp_path / "f.yaml"
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        with pytest.raises(InvalidFile) as caught:
            validate(Recipe, read_yaml(file, sets))
        return [str(one).replace(f"{tmp_path}/", "") for one in caught.value.problems]

    return read


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("5e-4", 0.0005),
        (".5", 0.5),
        ("5.", 5.0),
        ("no", "no"),
        ("on", "on"),
        ("yes", "yes"),
        ("012", 12),
        ("0o17", 15),
        ("0x1F", 31),
        ("-3", -3),
        ("1_000", "1_000"),
        ("12:30", "12:30"),
        ("2026-01-01", "2026-01-01"),
        ("true", True),
        ("False", False),
        ("~", None),
        ("null", None),
        ("", None),
        ("'5'", "5"),
        ('"1e-3"', "1e-3"),
        ("8ep", "8ep"),
        ("[a, [1]]", ["a", [1]]),
        (".inf", float("inf")),
    ],
)
def test_a_scalar_means_what_it_seems_to_mean(text, value):
    data = read_document(f"key: {text}\n").data
    assert data == {"key": value}
    assert type(data["key"]) is type(value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("a: 1\nb: 2\na: 3\n", ["f.yaml:3:1: a: duplicate key; it stands already in line 1"]),
        ("a: {b: 1, b: 2}\n", ["f.yaml:1:11: a.b: duplicate key; it stands already in line 1"]),
        ("a:\n\tb: 1\n", ["f.yaml:2:1: a tab; YAML is indented with spaces"]),
        ("a: 'x\u2028y'\nb: &x 1\n",
         ["f.yaml:1:6: a line break that editors do not see; end lines with LF",
          "f.yaml:2:4: b: anchor &x; write the value out where it is used"]),
        ("a: 1\rb: 2\n", ["f.yaml:1:5: a line break that editors do not see; end lines with LF"]),
        ("a: &x 1\n", ["f.yaml:1:4: a: anchor &x; write the value out where it is used"]),
        ("<<: {a: 1}\n", ["f.yaml:1:1: <<: merge key; write the keys out"]),
        ("", ["f.yaml:1:1: the file is empty"]),
        ("# nothing\n", ["f.yaml:1:1: the file is empty"]),
        ("- a\n", ['f.yaml:1:1: a file must be a mapping of keys to values, got ["a"]']),
        ("a: 1\n2: b\n", ["f.yaml:2:1: 2: a key must be text; write '2' in quotes"]),
        ("true: b\n", ["f.yaml:1:1: true: a key must be text; write 'true' in quotes"]),
        ("? [a]\n: b\n", ["f.yaml:1:3: a key must be plain text, not a mapping or a list"]),
        ("a: 1\n---\nb: 2\n", ["f.yaml:2:1: a second document; a file holds one"]),
        ("a: b: c\n", ["f.yaml:1:5: not YAML: mapping values are not allowed here"]),
        ("a: \x07\n", ["f.yaml:1:4: a character that text files do not hold"]),
        (b"a: 1\nb\xc3\xa9: \xff", ["f.yaml:2:5: byte 0xff is not UTF-8; save the file as UTF-8"]),
        (b"\xff\xfea\x00", ["f.yaml:1:1: byte 0xff is not UTF-8; save the file as UTF-8"]),
        (b"a: 1\n" * 200_001, ["f.yaml: 1,000,005 bytes; at most 1,000,000 are read"]),
        (
            "a: !!python/object:os.system {}\n",
            ["f.yaml:1:4: a: tag tag:yaml.org,2002:python/object:os.system; "
             "values are plain text, numbers, lists, mappings"],
        ),
    ],
    ids=[
        "duplicate", "nested duplicate", "tab", "line separator", "carriage return", "anchor",
        "merge", "empty", "comment only", "list",
        "number key", "boolean key", "list key", "two documents", "syntax", "control character",
        "not UTF-8", "UTF-16", "too large", "tag",
    ],
)  # fmt: skip
def test_a_trap_is_refused_with_its_position(problems, text, expected):
    found = problems(text)
    assert [one for one in found if "not YAML" not in one or one in expected] == expected


def test_nesting_ends_at_20(problems):
    deep = "[" * 19 + "]" * 19  # with the file's own mapping, 20
    assert read_document(f"a: {deep}").faults == []
    assert "nested more than 20 deep" in problems(f"a: [{deep}]")[0]


def test_ten_thousand_brackets_are_refused_at_the_twentieth(problems):
    assert "f.yaml:1:23" in problems("a: " + "[" * 10_000)[0]


def test_as_many_values_as_nobody_writes_are_refused_at_the_first_one_too_many(problems):
    # The mapping, its 2 keys and the list take 4 of the 20,000.
    assert read_document("name: x\nstages:\n" + "- 1\n" * 19_995).faults == []
    (found,) = problems("name: x\nstages:\n" + "- 1\n" * 99_000)
    assert found == "f.yaml:19998:3: stages: more than 20,000 keys and values"


@pytest.mark.parametrize("line", ["a: 1\n", "\t\n", "b: &x 1\n", "c: !!x 1\n"])
def test_reading_ends_at_a_hundred_faults(problems, line):
    *told, last = problems("name: x\n" + line * 10_000)
    assert len(told) == 100
    assert "100 faults so far; the rest was not read" in "".join([*told, last])


def test_a_model_complains_of_a_hundred_values_and_counts_the_rest(problems):
    text = "name: resnet18\noptimizer: {}\n" + "".join(f"a{i}: 1\n" for i in range(2_000))
    told = problems(text)
    assert len(told) == 101
    assert told[0] == "f.yaml:1:1: and 1900 more problems, told once these are gone"


def test_a_path_that_no_file_system_takes_is_a_problem_of_the_path():
    with pytest.raises(InvalidFile, match="cannot be read: File name too long"):
        read_yaml("x" * 5_000)


def test_all_faults_are_told_at_once(problems):
    text = "a: &x 1\nb: *x\na: 2\n3: c\n"
    places = [one.split(": ")[0] for one in problems(text)]
    assert places == ["f.yaml:1:4", "f.yaml:2:4", "f.yaml:3:1", "f.yaml:4:1"]


def test_a_missing_file_names_the_nearest(tmp_path):
    (tmp_path / "digits.yaml").write_text("a: 1\n")
    with pytest.raises(InvalidFile, match=r"digit\.yaml: no such file; did you mean 'digits.yaml'"):
        read_yaml(tmp_path / "digit.yaml")


def test_a_folder_is_no_file(tmp_path):
    with pytest.raises(InvalidFile, match="not a file"):
        read_yaml(tmp_path)


def test_lines_may_end_as_windows_ends_them(tmp_path):
    (tmp_path / "f.yaml").write_bytes(b"a: 1\r\nb: [x,\r\n  y]\r\n")
    source = read_yaml(tmp_path / "f.yaml")
    assert source.data == {"a": 1, "b": ["x", "y"]}
    assert source.position(("b", 1)) == (str(tmp_path / "f.yaml"), 3, 3)


def test_a_byte_order_mark_is_no_part_of_the_first_key(tmp_path):
    (tmp_path / "f.yaml").write_bytes(b"\xef\xbb\xbfa: 1\n")
    assert read_yaml(tmp_path / "f.yaml").data == {"a": 1}


def test_every_complaint_of_the_model_has_its_place_and_plain_words(problems):
    text = (
        "name: resnet5O\n"
        "optimizer:\n"
        "  sgd: {learning_rat: 0.1, nesterov: no}\n"
        "  clip: [1]\n"
        "warmup: 8\n"
        "stages: [1, true, x]\n"
        "seeds: 3\n"
    )
    assert problems(text) == [
        "f.yaml:1:7: name: must be 'resnet18' or 'resnet50', got 'resnet5O'; "
        "did you mean 'resnet50'?",
        "f.yaml:3:3: optimizer.sgd.learning_rate: required, but it is not there",
        "f.yaml:3:9: optimizer.sgd.learning_rat: unknown key; allowed: learning_rate, nesterov; "
        "did you mean 'learning_rate'?",
        "f.yaml:3:38: optimizer.sgd.nesterov: must be true or false, got 'no'",
        "f.yaml:4:9: optimizer.clip: must be a number, got [1] or must be 'auto', got [1]",
        "f.yaml:5:9: warmup: 8 has no unit; write 8ep (epochs), 100ba (batches) or 0.1dur "
        "(a share of the whole training)",
        "f.yaml:6:9: stages: must be a number, got [1, true, 'x']",
        "f.yaml:7:1: seeds: unknown key; allowed: name, optimizer, warmup, stages",
    ]


def test_a_key_in_the_wrong_section_is_sent_home(problems):
    text = "name: resnet18\noptimizer: {}\nlearning_rate: 1\n"
    (found,) = problems(text)
    assert found.endswith("did you mean optimizer.sgd.learning_rate?")


def test_a_null_section_is_told_as_such(problems):
    assert problems("name: resnet18\noptimizer:\n") == [
        "f.yaml:2:11: optimizer: must be a mapping of keys to values, got null"
    ]


def test_set_replaces_a_value_and_makes_what_is_missing(tmp_path):
    (tmp_path / "f.yaml").write_text("a: {b: 1, c: 2}\nd: null\n")
    source = read_yaml(tmp_path / "f.yaml", ["a.b=[x, 1e-3]", "d.e.f=true", "g=", "h=p=q"])
    assert source.data == {
        "a": {"b": ["x", 0.001], "c": 2}, "d": {"e": {"f": True}}, "g": None, "h": "p=q",
    }  # fmt: skip


def test_set_finds_keys_that_hold_dots_themselves(tmp_path):
    (tmp_path / "f.yaml").write_text("space:\n  model.name: {choice: [a]}\n")
    sets = ["space.model.name.choice=[b]", "space.x.y={int: [1, 2]}"]
    source = read_yaml(tmp_path / "f.yaml", sets, dotted_keys=("space",))
    assert source.data["space"] == {"model.name": {"choice": ["b"]}, "x.y": {"int": [1, 2]}}


def test_the_place_of_what_was_set_is_the_set(problems):
    text = "name: resnet18\noptimizer: {sgd: {learning_rate: 1}}\n"
    assert problems(text, ["optimizer.sgd.learning_rate=-1"]) == [
        "--set optimizer.sgd.learning_rate=-1: optimizer.sgd.learning_rate: must be above 0, got -1"
    ]


@pytest.mark.parametrize(
    ("one", "message"),
    [
        ("name", "write it as --set a.b=value"),
        ("=1", "write it as --set a.b=value"),
        ("a..b=1", "write it as --set a.b=value"),
        ("name.x=1", "name is 'resnet18' and holds no key 'x'"),
        ("a=[1", "not YAML"),
        ("a=*x", "alias *x"),
    ],
)
def test_a_set_that_cannot_be_is_refused(problems, one, message):
    (found,) = problems("name: resnet18\n", [one])
    assert found.startswith(f"--set {one}: ")
    assert message in found


def test_a_password_in_a_set_is_not_repeated(problems):
    (found,) = problems("a: 1\n", ["a.uri=http://me:secret@host"])
    assert "secret" not in found


def test_written_yaml_reads_back_equal():
    shared = ["x"]
    data = {"a": shared, "b": shared, "c": ["1e-3", "no", "012", "12:30", "", "~"], "d": 1e-5,
            "e": {"f": None, "g": True, "h": "é: #"}, "i": 1e22,
            "j": "\u2028 \x85\r\n\t"}  # fmt: skip
    assert read_document(write_document(data)).data == data
