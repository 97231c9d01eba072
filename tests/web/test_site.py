"""What `scdepth web` writes, and what it refuses."""

import hashlib
import io
import re
import tarfile
import urllib.error
import urllib.request
from importlib import resources

import pytest

from scdepth_tf import lite
from scdepth_tf.cli import main
from scdepth_tf.export.metadata import write_metadata
from scdepth_tf.web import runtime, site, write_site

PAGE = resources.files("scdepth_tf.web") / "page"

METADATA = {
    "format": lite.METADATA_FORMAT,
    "kind": "depth",
    "producer": "test",
}


@pytest.fixture
def model(tmp_path):
    """What describes itself as a depth network."""
    path = tmp_path / "depth.tflite"
    path.write_bytes(b"\0\0\0\0TFL3" + bytes(100))
    write_metadata(path, METADATA)
    return path


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A small LiteRT.js of the form that is expected."""
    path = tmp_path / "litertjs.tgz"
    core = (
        f"{runtime._IMPORT}var DATATYPES = [];\nexport {{\n  loadLiteRt\n}};\n"
    )
    contents = {"dist/index.js": core.encode()}
    for name in runtime.VARIANTS.values():
        contents[f"wasm/{name}.js"] = b"var ModuleFactory;"
        contents[f"wasm/{name}.wasm"] = b"\0asm"
    with tarfile.open(path, "w:gz") as archive:
        for name, content in contents.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    monkeypatch.setattr(runtime, "SHA256", runtime_hash(path))
    return path


def runtime_hash(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_equal_models_give_equal_pages_and_a_page_may_be_replaced(
    model, package, tmp_path
):
    first, second = tmp_path / "first", tmp_path / "second"
    write_site(model, first, package)
    write_site(model, second, package)
    write_site(model, second, package)
    names = sorted(path.name for path in first.iterdir())
    assert names == sorted(path.name for path in second.iterdir())
    for name in names:
        assert (first / name).read_bytes() == (second / name).read_bytes()


def test_another_model_is_another_version_for_browsers_that_keep_it(
    model, package, tmp_path
):
    write_site(model, tmp_path / "first", package)
    write_metadata(model, {**METADATA, "training_data": "other"})
    write_site(model, tmp_path / "second", package)
    workers = [
        (tmp_path / name / "sw.js").read_text() for name in ("first", "second")
    ]
    assert workers[0] != workers[1]


def test_the_page_carries_its_licences_and_names_no_other_server(
    model, package, tmp_path
):
    write_site(model, tmp_path / "site", package)
    licences = (tmp_path / "site/LICENSES.txt").read_text()
    assert "Apache License\n" in licences
    assert f"LiteRT.js {runtime.VERSION}" in licences
    for name in ("index.html", "sw.js", *site._PLAIN):
        if name.endswith((".txt", ".svg")):
            continue
        text = (tmp_path / "site" / name).read_text()
        addresses = re.findall(r"https?://[^\s\"']+", text)
        assert set(addresses) <= {"http://www.w3.org/2000/svg"}, name


def test_without_the_model_a_visitor_loads_at_most_15_megabytes(
    model, tmp_path
):
    try:
        package = runtime.find_package()
    except ConnectionError as error:
        pytest.skip(str(error))
    write_site(model, tmp_path / "site", package)
    sizes = {
        path.name: path.stat().st_size
        for path in (tmp_path / "site").iterdir()
        if path.name != "model-data.js"
    }
    assert sum(sizes.values()) < 15e6  # one of the two runtimes would do


def test_a_folder_with_other_files_is_refused(model, package, tmp_path):
    folder = tmp_path / "home"
    folder.mkdir()
    (folder / "index.html").write_text("<title>mine</title>")
    with pytest.raises(ValueError, match="holds files that are no page"):
        write_site(model, folder, package)
    assert (folder / "index.html").read_text() == "<title>mine</title>"
    with pytest.raises(ValueError, match="it is a file"):
        site.check_site(model)


def test_what_is_no_depth_model_is_refused(model, package, tmp_path):
    with pytest.raises(FileNotFoundError, match="no model file"):
        write_site(tmp_path / "none.tflite", tmp_path / "site", package)
    write_metadata(model, {**METADATA, "kind": "pose"})
    with pytest.raises(ValueError, match="expected a depth network"):
        write_site(model, tmp_path / "site", package)
    assert not (tmp_path / "site").exists()


def test_another_runtime_is_refused_by_its_checksum(model, package, tmp_path):
    package.write_bytes(package.read_bytes() + b"\0")
    with pytest.raises(ValueError, match=r"is not LiteRT\.js .*SHA-256"):
        write_site(model, tmp_path / "site", package)


def test_a_runtime_of_another_form_is_refused(package, monkeypatch):
    monkeypatch.setattr(runtime, "_IMPORT", "something else\n")
    with pytest.raises(ValueError, match="0 times, expected once"):
        runtime.read_runtime(package, "relaxed")


def test_without_a_network_it_fails_with_one_line(
    model, tmp_path, monkeypatch, capsys
):
    def unreachable(*args, **kwargs):
        raise urllib.error.URLError("Name or service not known")

    monkeypatch.setattr(urllib.request, "urlopen", unreachable)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    out = tmp_path / "site"
    assert main(["web", str(model), "--out", str(out)]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert "cannot fetch LiteRT.js" in line
    assert "Name or service not known" in line
    assert "--runtime" in line
    assert not out.exists()
    with pytest.raises(ConnectionError):
        runtime.find_package()


def test_what_was_fetched_wrongly_is_an_error_and_not_kept(
    package, tmp_path, monkeypatch
):
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda *_, **__: io.BytesIO(b"a portal")
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(ValueError, match="SHA-256"):
        runtime.find_package()
    assert not any(path.is_file() for path in (tmp_path / "cache").rglob("*"))


def test_what_was_fetched_is_kept(package, tmp_path, monkeypatch):
    monkeypatch.setattr(
        urllib.request, "urlopen", lambda *_, **__: package.open("rb")
    )
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    kept = runtime.find_package()
    assert kept.read_bytes() == package.read_bytes()
    monkeypatch.delattr(urllib.request, "urlopen")
    assert runtime.find_package() == kept


def test_the_command_says_how_to_look_at_the_page(
    model, package, tmp_path, capsys
):
    out = tmp_path / "site"
    arguments = ["web", str(model), "--out", str(out)]
    assert main([*arguments, "--runtime", str(package)]) == 0
    assert f"python3 -m http.server -d {out}" in capsys.readouterr().out
    assert main([*arguments, "--runtime", str(tmp_path / "none.tgz")]) == 1
    assert "no file at" in capsys.readouterr().err


def test_every_file_of_the_page_is_written_and_belongs_to_the_package(
    model, package, tmp_path
):
    write_site(model, tmp_path / "site", package)
    written = {path.name for path in (tmp_path / "site").iterdir()}
    elsewhere = {*site._IN_WORKER, "sample.jpg"}
    elsewhere |= {"view.html", "view.js", "view.css"}  # of `scdepth view`
    assert {path.name for path in PAGE.iterdir()} - elsewhere <= written
    page = (tmp_path / "site/index.html").read_text()
    for name in re.findall(r'(?:src|href)="([^"?]+)', page):
        assert name in written
