"""The page in a real Chromium: it computes what `scdepth_tf.lite` does."""

import shutil

import av
import numpy as np
import pytest
from PIL import Image

from scdepth_tf import viz
from scdepth_tf.export import export_tflite
from scdepth_tf.export.metadata import add_metadata, read_model
from scdepth_tf.lite import DepthPredictor, read_metadata
from scdepth_tf.web import runtime, write_site
from tests.small_depth_net import SmallDepthNet, frames, spread_logits
from tests.web.browser import Viewer, chromium, served

IMAGE_SIZE = (64, 96)

# What `scdepth web --quantize` offers.
SCHEMES = ("float32", "float16", "dynamic", "int8")

WEBGPU_IN_SOFTWARE = (
    "--enable-unsafe-webgpu",
    "--use-webgpu-adapter=swiftshader",
    "--enable-features=Vulkan",
)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    depth_net = SmallDepthNet()
    calibration = list(frames(8, IMAGE_SIZE, seed=1))
    spread_logits(depth_net.network, np.stack(calibration) / np.float32(255))
    for scheme in SCHEMES:
        export_tflite(
            depth_net,
            folder / f"{scheme}.tflite",
            IMAGE_SIZE,
            quantize=scheme,
            calibration=calibration,
        )
    shutil.copy(folder / "float32.tflite", folder / "metres.tflite")
    add_metadata(folder / "metres.tflite", scale={"metres_per_unit": 23.5})
    return folder


@pytest.fixture(scope="module")
def site(models, tmp_path_factory):
    try:
        package = runtime.find_package()
    except ConnectionError as error:
        pytest.skip(str(error))
    folder = tmp_path_factory.mktemp("web") / "site"
    write_site(models / "float32.tflite", folder, package)
    return folder


@pytest.fixture(scope="module")
def start_browser():
    with chromium() as start:
        yield start


@pytest.fixture(scope="module")
def browser(start_browser):
    browser = start_browser()
    yield browser
    browser.close()


@pytest.fixture(scope="module")
def address(site):
    with served(site) as address:
        yield address


@pytest.fixture(scope="module")
def context(browser):
    context = browser.new_context()
    context.grant_permissions(["camera"])
    yield context
    context.close()


@pytest.fixture(scope="module")
def viewer(context, address):
    viewer = Viewer(context, address)
    viewer.requests = []
    viewer.page.on(
        "request", lambda request: viewer.requests.append(request.url)
    )
    viewer.wait_until("scdepth.last !== null")
    yield viewer
    assert viewer.problems == []


@pytest.fixture(scope="module")
def picture(tmp_path_factory):
    """A frame of another size and shape than the network's."""
    path = tmp_path_factory.mktemp("picture") / "frame.png"
    Image.fromarray(next(frames(1, (150, 310), seed=5))).save(path)
    return path


def logits_of(depth):
    return -np.log(10.0 / (1 / depth.astype(np.float64) - 0.01) - 1)


def test_the_sample_is_the_first_thing_it_shows(viewer):
    assert viewer.ask("scdepth.last.source") == "Sample street"
    assert viewer.depth.shape == IMAGE_SIZE


@pytest.mark.parametrize("scheme", SCHEMES)
def test_depth_is_that_of_lite_within_quantization(
    viewer, models, picture, scheme
):
    viewer.page.set_input_files("#file", models / f"{scheme}.tflite")
    viewer.wait_until(
        f"document.querySelector('#facts').textContent.includes('{scheme}')"
    )
    viewer.open(picture)
    predict = DepthPredictor(models / f"{scheme}.tflite")
    expected = predict(np.asarray(Image.open(picture)))
    step = 1e-4
    if scheme == "int8":
        step, _ = predict._output["quantization"]
    elif scheme == "dynamic":  # its activations are bytes within, too
        step = np.ptp(logits_of(expected)) / 255
    assert np.std(logits_of(expected)) > 20 * step
    difference = np.abs(logits_of(viewer.depth) - logits_of(expected))
    assert difference.max() < 1.01 * step
    assert difference.mean() < 0.05 * step or scheme != "int8"


def test_depth_is_in_metres_where_the_file_knows_them(viewer, models, picture):
    viewer.page.set_input_files("#file", models / "metres.tflite")
    viewer.wait_until(
        "document.querySelector('#facts').textContent.includes('23.5 m')"
    )
    viewer.open(picture)
    expected = DepthPredictor(models / "metres.tflite")(
        np.asarray(Image.open(picture))
    )
    np.testing.assert_allclose(viewer.depth, expected, rtol=1e-3)
    farthest = viewer.ask("scdepth.last.farthest")
    shown = viewer.page.inner_text("#farthest-value")
    assert shown == f"{farthest:.{1 if farthest < 100 else 0}f} m far"
    assert expected.min() < farthest < 1.2 * expected.max()


def test_colours_are_those_of_viz(viewer, picture):
    viewer.open(picture)
    nearest = viewer.ask("scdepth.last.nearest")
    farthest = viewer.ask("scdepth.last.farthest")
    expected = viz.color_depth(viewer.depth, nearest, farthest)
    shown = viewer.pixels("#depth")[..., :3]
    # float32 may round to the next of the 256 colours.
    difference = np.abs(shown.astype(int) - expected)
    assert difference.max() <= 8
    assert np.mean(difference > 0) < 0.01
    assert shown.std() > 20


def test_the_far_slider_darkens_nothing_nearer_and_keeps_its_order(
    viewer, picture
):
    viewer.open(picture)
    before = viewer.pixels("#depth")[..., :3].astype(int).sum(axis=-1)
    viewer.page.focus("#farthest")
    for _ in range(3):
        viewer.page.keyboard.press("PageDown")
    after = viewer.pixels("#depth")[..., :3].astype(int).sum(axis=-1)
    assert after.mean() < before.mean() - 5
    viewer.page.keyboard.press("Home")
    assert viewer.ask("scdepth.last.nearest < scdepth.last.farthest")


def test_a_raised_camera_looks_down_on_the_road(viewer):
    """y is down: the road is at y = 1, and the eye must be above it."""

    def seen(pitch, point):
        orbit = f"{{ pose: {{ yaw: 0, pitch: {pitch}, distance: 4 }} }}"
        matrix = viewer.ask(
            f"scdepth.Orbit.prototype.view.call({orbit}, [0, 1, 5], 1, 0)"
        )
        x, y, z, _ = np.reshape(matrix, (4, 4)).T @ [*point, 1]
        return x, y, z

    for pitch in (0.2, 1.57):
        (_, near, _), (_, far, _) = (seen(pitch, (0, 1, z)) for z in (4.0, 6.0))
        assert far < near  # further along the road is higher on the screen
        _, _, road = seen(pitch, (0, 1, 5))
        _, _, roof = seen(pitch, (0, 0, 5))
        assert 0 < roof < road  # what stands on it is nearer to the eye
    right, _, _ = seen(1.57, (1, 1, 5))
    assert right > 0


def test_arrow_keys_and_dragging_turn_the_cloud(viewer, picture):
    viewer.open(picture)
    cloud = viewer.page.locator("#cloud")
    cloud.focus()
    viewer.page.keyboard.press("Home")
    viewer.page.keyboard.press("ArrowLeft")  # it stops swaying
    viewer.page.wait_for_timeout(200)
    still = cloud.screenshot()
    viewer.page.wait_for_timeout(200)
    assert cloud.screenshot() == still
    viewer.page.keyboard.press("ArrowLeft")
    viewer.page.wait_for_timeout(200)
    turned = cloud.screenshot()
    assert turned != still
    box = cloud.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    viewer.page.mouse.move(x, y)
    viewer.page.mouse.down()
    viewer.page.mouse.move(x + 60, y + 20)
    viewer.page.mouse.up()
    viewer.page.wait_for_timeout(200)
    assert cloud.screenshot() not in (still, turned)


def write_video(path, images):
    with av.open(path, "w") as file:
        stream = file.add_stream("libvpx", rate=10)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = "yuv420p"
        for image in images:
            frame = av.VideoFrame.from_ndarray(image, format="rgb24")
            file.mux(stream.encode(frame))
        file.mux(stream.encode())


def test_a_video_plays_through_the_network(viewer, tmp_path):
    write_video(tmp_path / "drive.webm", list(frames(20, (96, 160))))
    viewer.open(tmp_path / "drive.webm")
    seen = []
    for _ in range(3):
        seen.append(viewer.depth.tobytes())
        viewer.ask("(scdepth.last = null)")
        viewer.page.wait_for_timeout(300)
        viewer.wait_until("scdepth.last !== null")
    assert len(set(seen)) == 3
    assert float(viewer.page.inner_text("#fps")) > 0
    viewer.page.click("#pause")
    viewer.page.wait_for_timeout(500)
    viewer.ask("(scdepth.last = null)")
    viewer.page.wait_for_timeout(500)
    assert viewer.ask("scdepth.last") is None


def test_what_does_not_play_leaves_the_video_that_does(viewer, tmp_path):
    write_video(tmp_path / "drive.webm", list(frames(20, (96, 160))))
    viewer.open(tmp_path / "drive.webm")
    with av.open(tmp_path / "sound.mp4", "w") as file:
        stream = file.add_stream("aac", rate=44100)
        silence = np.zeros((1, 44100), np.float32)
        frame = av.AudioFrame.from_ndarray(silence, "fltp", "mono")
        frame.sample_rate = 44100
        file.mux(stream.encode(frame))
        file.mux(stream.encode())
    (tmp_path / "noise.mp4").write_bytes(b"no video")
    for name in ("sound.mp4", "noise.mp4"):
        viewer.page.set_input_files("#file", tmp_path / name)
        message = viewer.wait_for_message()
        assert f"cannot play {name}" in message
        viewer.ask("(scdepth.last = null)")
        viewer.page.wait_for_timeout(500)
        assert viewer.ask("scdepth.last.source") == "drive.webm"
        viewer.ask("((document.querySelector('#message').hidden = true), 1)")


def test_the_camera_starts_only_when_it_is_asked_for(viewer, picture):
    viewer.open(picture)
    assert viewer.ask("document.querySelector('video') === null")
    viewer.ask("(scdepth.last = null)")
    viewer.page.click("#camera")
    viewer.wait_until("scdepth.last !== null")
    assert viewer.ask("scdepth.last.source") == "Camera"
    viewer.page.click("text=Stop camera")
    viewer.ask("(scdepth.last = null)")
    viewer.page.wait_for_timeout(300)
    assert viewer.ask("scdepth.last") is None
    assert viewer.page.inner_text("#camera").strip() == "Camera"


def test_a_bad_model_is_an_error_and_the_good_one_stays(
    viewer, models, picture, tmp_path
):
    model = read_model(models / "float32.tflite")
    bad = {
        "text.tflite": b"not a model",
        "other.tflite": model,
        "damaged.tflite": bytearray((models / "float32.tflite").read_bytes()),
    }
    middle = len(model) // 8
    bad["damaged.tflite"][64:middle] = bytes(middle - 64)
    for name, content in bad.items():
        (tmp_path / name).write_bytes(content)
    shutil.copy(models / "float32.tflite", tmp_path / "pose.tflite")
    add_metadata(tmp_path / "pose.tflite", kind="pose")
    messages = {}
    for name in (*bad, "pose.tflite"):
        viewer.page.set_input_files("#file", tmp_path / name)
        messages[name] = viewer.wait_for_message()
        viewer.open(picture)
        assert viewer.message is None
    assert "not a TFLite model" in messages["text.tflite"]
    assert "does not describe itself" in messages["other.tflite"]
    assert "scdepth export" in messages["damaged.tflite"]
    assert "holds a pose network" in messages["pose.tflite"]


def test_what_is_no_picture_is_an_error(viewer, tmp_path):
    (tmp_path / "notes.png").write_text("no picture")
    viewer.page.set_input_files("#file", tmp_path / "notes.png")
    assert "notes.png" in viewer.wait_for_message()


def test_every_control_has_a_name(viewer):
    debugger = viewer.page.context.new_cdp_session(viewer.page)
    nodes = debugger.send("Accessibility.getFullAXTree")["nodes"]
    controls = [
        node
        for node in nodes
        if node.get("role", {}).get("value")
        in ("button", "slider", "radio", "image", "application", "link")
    ]
    assert len(controls) > 10
    for node in controls:
        assert node["name"]["value"].strip(), node


def test_it_asks_no_other_server_and_could_not(viewer, address):
    assert all(
        url.startswith((address, "blob:", "data:")) for url in viewer.requests
    )
    reached = viewer.ask(
        f"await fetch('{address}').then(() => true, () => false)"
    )
    assert reached is False


def test_without_simd_it_says_what_is_missing(browser, address):
    context = browser.new_context()
    context.add_init_script("WebAssembly.validate = () => false")
    viewer = Viewer(context, address)
    assert "WebAssembly SIMD" in viewer.wait_for_message()
    context.close()


def test_it_works_opened_from_the_disk(browser, site):
    context = browser.new_context()
    viewer = Viewer(context, site.joinpath("index.html").as_uri())
    viewer.wait_until("scdepth.last !== null")
    context.close()


def test_it_works_without_a_connection_once_loaded(browser, site, tmp_path):
    folder = shutil.copytree(site, tmp_path / "site")
    context = browser.new_context()
    with served(folder) as address:
        viewer = Viewer(context, address)
        viewer.wait_until("document.body.dataset.offline === 'ready'")
    again = Viewer(context, address)  # the server is gone
    again.wait_until("scdepth.last !== null")
    context.close()


def test_what_is_kept_hides_neither_a_newer_page_nor_another(
    browser, site, models, tmp_path
):
    folder = shutil.copytree(site, tmp_path / "site")
    context = browser.new_context()
    facts = "document.querySelector('#facts').textContent"
    with served(folder) as address:
        viewer = Viewer(context, address)
        viewer.wait_until("document.body.dataset.offline === 'ready'")
        assert "float32.tflite" in viewer.ask(facts)
        write_site(models / "metres.tflite", folder, runtime.find_package())
        viewer.page.reload()
        viewer.wait_until("document.body.dataset.offline === 'ready'")
        assert "metres.tflite" in viewer.ask(facts)
        shutil.rmtree(folder)
        folder.mkdir()
        (folder / "index.html").write_text("<title>Another</title>")
        viewer.page.reload()
        assert viewer.page.title() == "Another"
    context.close()


def test_depth_stays_right_where_there_is_webgpu(
    start_browser, address, models, picture
):
    browser = start_browser(*WEBGPU_IN_SOFTWARE)
    viewer = Viewer(browser.new_context(), address)
    viewer.wait_until("document.body.dataset.offline === 'ready'")
    if not viewer.ask("!!(await navigator.gpu?.requestAdapter())"):
        pytest.skip("this Chromium has no WebGPU in software")
    viewer.open(picture)
    predict = DepthPredictor(models / "float32.tflite")
    expected = predict(np.asarray(Image.open(picture)))
    np.testing.assert_allclose(
        logits_of(viewer.depth), logits_of(expected), atol=0.05
    )
    browser.close()


def test_refusing_the_camera_is_respected(browser, address):
    context = browser.new_context(permissions=[])
    viewer = Viewer(context, address)
    viewer.wait_until("scdepth.last !== null")
    viewer.page.click("#camera")
    assert "camera stays off" in viewer.wait_for_message()
    context.close()


def test_the_facts_are_those_of_the_file(viewer, models):
    viewer.page.set_input_files("#file", models / "float32.tflite")
    viewer.wait_until(
        "document.querySelector('#facts').textContent.includes('float32')"
    )
    facts = viewer.page.text_content("#facts")
    assert read_metadata(models / "float32.tflite")["producer"] in facts
    assert "96 × 64" in facts
