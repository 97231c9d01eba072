import shutil

import pytest

from scdepth_tf.files import (
    check_can_write,
    check_room,
    replace_file,
    replace_folder,
    write_whole,
)


def test_block_that_fails_leaves_the_old_file_and_nothing_else(tmp_path):
    path = tmp_path / "depth.tflite"
    path.write_bytes(b"the old one")
    with pytest.raises(KeyError), replace_file(path) as unfinished:
        unfinished.write_bytes(b"half")
        raise KeyError
    assert path.read_bytes() == b"the old one"
    assert list(tmp_path.iterdir()) == [path]


def test_unwritable_path_is_named_before_any_work(tmp_path):
    (tmp_path / "file").write_text("")
    for path in (tmp_path, tmp_path / "file" / "a.json"):
        with pytest.raises(ValueError, match=f"cannot write {path}:") as error:
            with replace_file(path):
                pytest.fail("the work began")
        assert "\n" not in str(error.value)
    assert [p.name for p in tmp_path.rglob("*")] == ["file"]


def test_results_that_could_not_be_written_are_known_before(tmp_path):
    (tmp_path / "file").write_text("")
    for path, complaint in (
        (tmp_path, "is a folder"),
        (tmp_path / "file" / "deeper" / "a.png", "file is no folder"),
        (tmp_path / "sheet.txt", "must end in .png or .jpg"),
    ):
        with pytest.raises(ValueError, match=complaint):
            check_can_write(path, (".png", ".jpg") if path.suffix else ())
    check_can_write(tmp_path / "new" / "sheet.PNG", (".png", ".jpg"))
    assert [p.name for p in tmp_path.rglob("*")] == ["file"]


def test_missing_folders_are_made(tmp_path):
    write_whole(tmp_path / "a" / "b" / "note.txt", "größer\n")
    text = (tmp_path / "a" / "b" / "note.txt").read_text(encoding="utf-8")
    assert text == "größer\n"


def test_missing_input_is_not_blamed_on_the_output(tmp_path):
    with pytest.raises(FileNotFoundError, match="frame"):
        with replace_file(tmp_path / "out.txt"):
            (tmp_path / "frame.png").read_bytes()
    assert list(tmp_path.iterdir()) == []


def test_folder_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "new" / "model"
    with replace_folder(path) as unfinished:
        write_whole(unfinished / "model.pb", "first")
        assert not path.exists()
    with (
        pytest.raises(KeyError),
        replace_folder(path, "model.pb") as unfinished,
    ):
        write_whole(unfinished / "model.pb", "half")
        raise KeyError
    assert (path / "model.pb").read_text() == "first"
    with replace_folder(path, "model.pb") as unfinished:
        write_whole(unfinished / "model.pb", "second")
    assert (path / "model.pb").read_text() == "second"
    assert list(path.parent.iterdir()) == [path]


def test_folder_of_something_else_is_never_replaced(tmp_path):
    (tmp_path / "photos").mkdir()
    for replaces, complaint in (
        (None, "photos exists"),
        ("model.pb", "no model.pb"),
    ):
        with pytest.raises(ValueError, match=complaint):
            with replace_folder(tmp_path / "photos", replaces):
                pytest.fail("the work began")
    assert list(tmp_path.iterdir()) == [tmp_path / "photos"]


def test_a_file_that_would_fill_the_disk_is_refused(tmp_path):
    free = shutil.disk_usage(tmp_path).free
    check_room(tmp_path / "new" / "small", free // 2)
    with pytest.raises(ValueError, match=r"takes up to .* MB are free; make"):
        check_room(tmp_path / "new" / "large", 2 * free)
    assert not (tmp_path / "new").exists()
