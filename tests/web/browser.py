"""Pages in a real Chromium, and what their scripts know.

The pages forbid `eval`, which Playwright's own `evaluate` uses: questions go
through the debugger instead, which no page can forbid.
"""

import functools
import http.server
import json
import os
import shutil
import threading
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest

CHROMIUM = os.environ.get("SCDEPTH_CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None
)

_ARGUMENTS = [
    "--no-sandbox",  # of Chromium: containers that run tests forbid it
    "--enable-unsafe-swiftshader",  # WebGL without a graphics processor
    "--disable-background-networking",
    "--use-fake-device-for-media-stream",
]


@contextmanager
def chromium():
    """Yields what starts a browser, given arguments for it; skips the test
    where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    if CHROMIUM is None:
        pytest.skip("no chromium on PATH, nor named by SCDEPTH_CHROMIUM")
    with sync_api.sync_playwright() as playwright:

        def start(*arguments):
            return playwright.chromium.launch(
                executable_path=CHROMIUM, args=[*_ARGUMENTS, *arguments]
            )

        yield start


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *args):
        pass


@contextmanager
def served(folder):
    """A folder on a plain static server; yields its address."""
    server = http.server.ThreadingHTTPServer(
        ("localhost", 0), functools.partial(_Quiet, directory=folder)
    )
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://localhost:{server.server_port}/"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Viewer:
    """One page of `scdepth web`."""

    def __init__(self, context, address):
        self.page = context.new_page()
        self.page.set_default_timeout(90_000)  # of busy machines, in ms
        self.problems = []
        self.page.on("pageerror", lambda error: self.problems.append(error))
        self._debugger = context.new_cdp_session(self.page)
        self.page.goto(address)

    def ask(self, expression):
        """The value of a JavaScript expression in the page."""
        answer = self._debugger.send(
            "Runtime.evaluate",
            {
                "expression": f"(async () => JSON.stringify({expression}))()",
                "awaitPromise": True,
            },
        )
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"])
        text = answer["result"].get("value")
        return None if text is None else json.loads(text)

    def wait_until(self, expression, seconds=90):
        """Until it is true, or the page says what is wrong."""
        for _ in range(20 * seconds):
            if self.ask(expression):
                return
            error = self.message
            if error and "error" not in expression:
                raise AssertionError(f"the page says: {error}")
            self.page.wait_for_timeout(50)
        raise AssertionError(f"{expression} did not come true")

    @property
    def message(self):
        """What the page says is wrong."""
        return self.ask(
            'document.querySelector("#message.error:not([hidden])")'
            "?.textContent ?? null"
        )

    def wait_for_message(self):
        self.wait_until(
            'document.querySelector("#message.error:not([hidden])") !== null'
        )
        return self.message

    def open(self, file):
        """Chooses a file; returns when its first result is there."""
        self.ask("(scdepth.last = null)")
        self.page.set_input_files("#file", file)
        name = json.dumps(Path(file).name)
        self.wait_until(f"scdepth.last?.source === {name}")

    @property
    def depth(self):
        """[H, W] float32 of the last result."""
        last = self.ask("{...scdepth.last, depth: [...scdepth.last.depth]}")
        depth = np.array(last["depth"], np.float32)
        return depth.reshape(last["height"], last["width"])

    def pixels(self, canvas):
        """[H, W, 4] uint8 of a 2-D canvas."""
        drawn = self.ask(
            f"(({{width, height}}, context) => ({{width, height, bytes:"
            " [...context.getImageData(0, 0, width, height).data]}))"
            f'(document.querySelector("{canvas}"),'
            f' document.querySelector("{canvas}").getContext("2d"))'
        )
        bytes_ = np.array(drawn["bytes"], np.uint8)
        return bytes_.reshape(drawn["height"], drawn["width"], 4)
