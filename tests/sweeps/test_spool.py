from sweeps.spool import Spool


def epochs(spool: Spool) -> list[int]:
    return [point["epoch"] for point in spool.read()[0]]


def test_epochs_come_back_in_the_order_written(tmp_path):
    spool = Spool(tmp_path)
    for epoch in (1, 2, 3):
        spool.append({"epoch": epoch, "val_accuracy": epoch / 10})
    assert [(p["epoch"], p["val_accuracy"]) for p in spool.read()[0]] == [
        (1, 0.1),
        (2, 0.2),
        (3, 0.3),
    ]


def test_an_epoch_that_a_resumed_trial_repeats_is_written_once(tmp_path):
    spool = Spool(tmp_path)
    for epoch in (1, 2, 2, 1, 3):
        spool.append({"epoch": epoch})
    assert epochs(spool) == [1, 2, 3]


def test_a_torn_last_line_is_dropped_and_its_epoch_can_be_written_again(tmp_path):
    spool = Spool(tmp_path)
    spool.append({"epoch": 1})
    spool.append({"epoch": 2})
    whole = spool.path.read_bytes()
    spool.path.write_bytes(whole[:-5])
    assert epochs(spool) == [1]
    spool.append({"epoch": 2})
    assert epochs(spool) == [1, 2]


def test_a_line_whose_bytes_changed_is_not_believed_and_told_of_once(tmp_path, caplog):
    spool = Spool(tmp_path)
    spool.append({"epoch": 1})
    spool.append({"epoch": 2})
    spool.path.write_bytes(spool.path.read_bytes().replace(b'"epoch": 1', b'"epoch": 7'))
    assert epochs(spool) == epochs(spool) == [2]
    (told,) = caplog.messages
    assert told.startswith(f"{spool.path}: the line at byte 0 does not have its checksum")


def test_reading_from_an_offset_gives_only_what_came_after_it(tmp_path):
    spool = Spool(tmp_path)
    spool.append({"epoch": 1})
    _, offset = spool.read()
    spool.append({"epoch": 2})
    points, end = spool.read(offset=offset)
    assert [p["epoch"] for p in points] == [2]
    assert end == spool.path.stat().st_size
    assert spool.read(offset=end) == ([], end)
