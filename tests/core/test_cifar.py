import multiprocessing
import socket
import threading
import warnings
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from resnet_core.data.cifar import load_cifar
from resnet_core.data.hold_out import held_out
from resnet_core.data.section import CifarConfig, DataConfig
from tests.core.cifar_archive import DATASETS, LABELS, NUM_CLASSES, Archive, make_archive


@dataclass
class Server:
    """Serves one archive on this machine and counts how often it is downloaded."""

    data: bytes
    linger_seconds: float = 0.0
    num_downloads: int = 0
    _another: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        served = self

        class ArchiveServer(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.headers.get("Method") != "HEAD":  # torchvision looks for redirects first
                    served.count()
                self.send_response(200)
                self.send_header("Content-Length", str(len(served.data)))
                self.end_headers()
                self.wfile.write(served.data)

            def log_message(self, format: str, *args: Any) -> None: ...  # noqa: A002 (the base's)

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), ArchiveServer)
        self.url = f"http://127.0.0.1:{self._http.server_address[1]}/archive"
        threading.Thread(target=self._http.serve_forever, args=(0.01,), daemon=True).start()

    def count(self) -> None:
        self.num_downloads += 1
        if self.num_downloads > 1:
            self._another.set()
        # So that a second download, where nothing prevents one, begins before this one ends.
        self._another.wait(self.linger_seconds)

    def close(self) -> None:
        self._http.shutdown()
        self._http.server_close()


@pytest.fixture(autouse=True)
def no_proxy(monkeypatch) -> None:
    monkeypatch.setenv("no_proxy", "127.0.0.1")


@pytest.fixture(params=["cifar10", "cifar100"])
def name(request) -> str:
    return request.param


@pytest.fixture
def archive(name, monkeypatch) -> Archive:
    archive = make_archive(name)
    for attribute, value in archive.facts.items():
        monkeypatch.setattr(DATASETS[name], attribute, value)
    return archive


@pytest.fixture
def server(name, archive, monkeypatch) -> Iterator[Server]:
    server = Server(archive.data)
    monkeypatch.setattr(DATASETS[name], "url", server.url)
    yield server
    server.close()


@pytest.fixture
def no_network(name, archive, monkeypatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
    monkeypatch.setattr(DATASETS[name], "url", f"http://127.0.0.1:{port}/archive")


def load(name: str, root: Path, ratio: float = 0.0):
    return load_cifar(name, CifarConfig(root=str(root), validation_ratio=ratio))


def test_images_and_labels_are_those_of_the_archive(name, archive, server, tmp_path):
    train, _, test = load(name, tmp_path)
    pixels = np.concatenate([part["data"] for part in archive.train]).reshape(-1, 3, 32, 32)
    assert np.array_equal(train.images.numpy(), pixels)
    assert train.labels.tolist() == [
        label for part in archive.train for label in part[LABELS[name]]
    ]
    assert np.array_equal(test.images.flatten(1).numpy(), archive.test["data"])
    assert test.labels.tolist() == archive.test[LABELS[name]]
    assert (train.images.dtype, train.labels.dtype) == (torch.uint8, torch.int64)


def test_a_second_loading_downloads_nothing(name, server, tmp_path):
    load(name, tmp_path / "new" / "folder")
    load(name, tmp_path / "new" / "folder")
    assert server.num_downloads == 1


def test_every_process_maps_the_same_files(name, archive, server, tmp_path):
    read = load(name, tmp_path, ratio=0.25)
    again = load(name, tmp_path, ratio=0.25)
    (folder,) = tmp_path.glob("*-splits-0.25")
    assert str(folder / "train.images.npy") in Path("/proc/self/maps").read_text()
    (folder / "manifest.json").unlink()  # so the third time it reads the published files
    for one, other, third in zip(read, again, load(name, tmp_path, ratio=0.25), strict=True):
        assert torch.equal(one.images, other.images)
        assert torch.equal(one.labels, third.labels)


def test_where_they_cannot_be_left_they_are_read_all_the_same(name, server, tmp_path):
    in_the_way = tmp_path / f"{DATASETS[name].base_folder}-splits-0.5"
    in_the_way.touch()
    assert len(load(name, tmp_path, ratio=0.5)[0]) == 2 * NUM_CLASSES[name]
    assert in_the_way.is_file()


def test_pickles_of_2009_are_read_without_a_warning(name, server, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        load(name, tmp_path)


def load_in_a_process(barrier: Any, root: Path) -> None:
    barrier.wait()
    assert len(load("cifar10", root)[0]) == 40


@pytest.mark.parametrize("name", ["cifar10"])
def test_of_two_processes_one_downloads_and_the_other_waits(name, server, tmp_path):
    server.linger_seconds = 1
    context = multiprocessing.get_context("fork")  # keeps the small archive's md5 sums
    arguments = (context.Barrier(2), tmp_path)
    processes = [context.Process(target=load_in_a_process, args=arguments) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0]
    assert server.num_downloads == 1


def test_an_archive_that_others_brought_is_taken(name, archive, no_network, tmp_path):
    (tmp_path / DATASETS[name].filename).write_bytes(archive.data)
    assert len(load(name, tmp_path)[2]) == 2 * NUM_CLASSES[name]


def test_a_damaged_archive_is_downloaded_again(name, archive, server, tmp_path):
    (tmp_path / DATASETS[name].filename).write_bytes(archive.data[:100])
    assert len(load(name, tmp_path)[2]) == 2 * NUM_CLASSES[name]


def assert_names_the_file(name: str, root: Path, archive: Archive) -> None:
    with pytest.raises(OSError, match=DATASETS[name].filename) as caught:
        load(name, root)
    assert f"into {root}" in str(caught.value)
    assert archive.facts["tgz_md5"] in str(caught.value)


def test_a_download_of_other_bytes_is_refused_with_the_file_to_bring(
    name, archive, server, tmp_path
):
    server.data = archive.data[:-1] + b"?"
    assert_names_the_file(name, tmp_path, archive)


def test_without_a_network_the_file_to_bring_is_named(name, archive, no_network, tmp_path):
    assert_names_the_file(name, tmp_path, archive)


def test_a_damaged_archive_without_a_network_is_named(name, archive, no_network, tmp_path):
    (tmp_path / DATASETS[name].filename).write_bytes(archive.data[:100])
    assert_names_the_file(name, tmp_path, archive)


def test_the_home_folder_may_be_written_as_a_tilde(name, server, tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    load_cifar(name, CifarConfig(root="~/data", validation_ratio=0))
    assert (tmp_path / "data" / DATASETS[name].base_folder).is_dir()


def test_the_same_share_of_each_class_is_held_out_from_train(name, server, tmp_path):
    whole, _, test = load(name, tmp_path)
    train, validation, same_test = load(name, tmp_path, ratio=0.25)
    assert train.labels.bincount().tolist() == [3] * NUM_CLASSES[name]
    assert validation.labels.bincount().tolist() == [1] * NUM_CLASSES[name]
    together = torch.cat([train.images, validation.images]).flatten(1)
    assert sorted(together.tolist()) == sorted(whole.images.flatten(1).tolist())
    assert torch.equal(same_test.images, test.images)


def test_a_share_of_zero_validates_on_the_test_images(name, server, tmp_path):
    _, validation, test = load(name, tmp_path)
    assert validation is test


@pytest.mark.parametrize("ratio", [0.1, 0.29, 0.12345, 1 / 3, 0.00003, 0.9999])
@pytest.mark.parametrize("num_classes", [10, 100])
def test_of_the_real_cifar_as_much_is_held_out_as_the_recipe_counts_on(num_classes, ratio):
    out = held_out(np.arange(50_000) % num_classes, ratio)
    config = DataConfig.model_validate({"cifar10": {"validation_ratio": ratio}})
    assert config.num_train == 50_000 - out.sum()
    counts = np.bincount(np.flatnonzero(out) % num_classes, minlength=num_classes)
    assert counts.max() - counts.min() <= 1


def test_what_is_held_out_is_spread_over_the_images():
    out = held_out(np.zeros(10_000, dtype=int), 0.5)
    # 1,000 of 10,000 without replacement, half of them chosen: a standard deviation of 15.
    assert all(abs(part.sum() - 500) < 75 for part in np.split(out, 10))


def test_a_root_that_cannot_be_made_is_named_with_its_key():
    config = CifarConfig(root="/dev/null/cifar")
    with pytest.raises(OSError, match=r"data\.cifar10\.root: /dev/null/cifar cannot be made"):
        load_cifar("cifar10", config)
