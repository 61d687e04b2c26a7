"""Addresses, and objects in a real S3 protocol's server."""

import pytest
from typer.testing import CliRunner

from sweeps.cli import app
from sweeps.doctor.object_storage import check_object_store
from sweeps.object_store import BadAddress, ObjectStore, check_address, join
from tests.object_storage import s3_folder


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("http://host/sweeps", "http:// is no object store that is known; write s3:// or gs://"),
        ("s3://bucket", "name a bucket and a folder in it, as s3://bucket/sweeps"),
        ("gs:///sweeps", "name a bucket and a folder in it, as gs://bucket/sweeps"),
        ("s3://key:word@bucket/sweeps", "must hold no credentials; they come from the environment"),
    ],
)
def test_what_is_no_address_of_a_folder_is_refused(address, words):
    with pytest.raises(BadAddress, match=words.replace("(", r"\(")):
        check_address(address)


@pytest.mark.parametrize("address", ["s3://bucket/sweeps", "gs://bucket/a/b?scheme=http"])
def test_an_address_is_what_it_was(address):
    assert check_address(address) == address


def test_what_lies_below_an_address_keeps_its_options():
    assert join("s3://b/a?region=x", "t/1") == "s3://b/a/t/1?region=x"
    assert join("s3://b/a/", "") == "s3://b/a"


@pytest.mark.parametrize("command", [["ls"], ["card"], ["status", "digits"], ["report", "digits"]])
@pytest.mark.parametrize(
    ("address", "status", "words"),
    [
        ("ftp://host/x", 2, "ftp:// is no object store that is known; write s3:// or gs://"),
        ("s3://bucket", 2, "name a bucket and a folder in it, as s3://bucket/sweeps"),
        ("s3://b/x?colour=1&region=us-east-1", 2, "Unexpected query parameter in S3 URI: 'colour'"),
    ],
)
def test_an_address_that_names_no_storage_is_told_in_one_line(command, address, status, words):
    check_told(command, address, status, words)


@pytest.mark.parametrize("command", [["ls"], ["status", "digits"]])
def test_a_storage_out_of_reach_is_told_in_one_line(command):
    address = "s3://b/x?endpoint_override=127.0.0.1:9&scheme=http&region=us-east-1"
    check_told(command, address, 3, "127.0.0.1:9")


def check_told(command: list[str], address: str, status: int, words: str) -> None:
    done = CliRunner().invoke(app, [*command, "--storage", address])
    assert (done.exit_code, done.stdout) == (status, "")
    assert words in done.stderr
    assert len(done.stderr.splitlines()) == 1


def test_options_that_pyarrow_does_not_know_are_told():
    with pytest.raises(BadAddress, match=r"s3://bucket/sweeps.*: .*'colour'"):
        ObjectStore("s3://bucket/sweeps?colour=red&region=us-east-1")


def test_objects_come_back_and_go(tmp_path):
    (tmp_path / "weights").write_bytes(bytes(range(256)) * 40_000)  # more than one part
    with s3_folder() as address:
        store = ObjectStore(address)
        assert store.listed() == []
        assert store.look("a/weights") is None
        assert store.read("a/weights") is None
        store.upload(tmp_path / "weights", "a/weights")
        store.write("b.json", b"{}")
        assert [(one.name, one.size) for one in store.listed()] == [
            ("a/weights", 256 * 40_000),
            ("b.json", 2),
        ]
        assert [one.name for one in store.listed("a")] == ["a/weights"]
        store.download("a/weights", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == (tmp_path / "weights").read_bytes()
        store.remove("b.json")
        store.remove("b.json")
        assert [one.name for one in store.listed()] == ["a/weights"]


def test_the_doctor_tries_a_bucket_out_and_leaves_nothing():
    with s3_folder() as address:
        store = ObjectStore(address)
        found = check_object_store(store)
        assert (found.state, store.listed()) == ("ok", [])
        missing = check_object_store(ObjectStore(address.replace("s3://", "s3://no-")))
    assert missing.state == "problem"
    assert "bucket does not exist" in missing.message
