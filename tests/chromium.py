# Copyright (c) monai_ssl contributors
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#     http://www.apache.org/licenses/LICENSE-2.0
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.


"""A page in headless Chromium, driven over its debugging pipe: no web socket, no port, nothing to install."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)

_FLAGS = (
    *("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--disable-extensions", "--hide-scrollbars"),
    *("--remote-debugging-pipe", "about:blank"),
)
_KEYS = {"Tab": (9, ""), "Enter": (13, "\r"), " ": (32, " ")}


class Page:
    """
    One page; `complaints` are what the console said and what the page asked the network for.

    Messages are JSON objects that end in a zero byte: https://chromedevtools.github.io/devtools-protocol/.
    """

    def __init__(self, read: Any, write: Any) -> None:
        self._read, self._write, self._number, self._session = read, write, 0, None
        self._events: list[dict[str, Any]] = []
        self.complaints: list[str] = []
        target = next(info for info in self.ask("Target.getTargets")["targetInfos"] if info["type"] == "page")
        attached = self.ask("Target.attachToTarget", targetId=target["targetId"], flatten=True)
        self._session = attached["sessionId"]
        for domain in ("Page", "Runtime", "Log", "Network"):
            self.ask(f"{domain}.enable")

    def ask(self, method: str, **parameters: Any) -> dict[str, Any]:
        """The answer to one command; what happens in between is kept."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": parameters}
        message |= {"sessionId": self._session} if self._session else {}
        self._write.write(json.dumps(message).encode() + b"\0")
        self._write.flush()
        while (answer := self._next()).get("id") != self._number:
            pass
        assert "error" not in answer, (method, answer)
        return answer["result"]

    def open(self, path: Path) -> None:
        """Show a file, and wait until it is loaded."""
        self._events.clear()
        self.ask("Page.navigate", url=path.as_uri())
        while not any(event["method"] == "Page.loadEventFired" for event in self._events):
            self._next()

    def value(self, expression: str) -> Any:
        """What an expression is in the page, as plain values."""
        answer = self.ask("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def size(self, width: int, height: int = 900) -> None:
        """Give the page a window of so many CSS pixels."""
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def media(self, medium: str = "screen", scheme: str = "light") -> None:
        """Show it as on paper (`print`), or `dark`."""
        features = [{"name": "prefers-color-scheme", "value": scheme}]
        self.ask("Emulation.setEmulatedMedia", media=medium, features=features)

    def click(self, selector: str) -> None:
        """With the mouse, in the middle of an element."""
        box = self.value(
            f"(() => {{ const found = document.querySelector({json.dumps(selector)}); found.scrollIntoView({{block: "
            "'center', inline: 'center'}); const b = found.getBoundingClientRect(); "
            "return [b.x + b.width / 2, b.y + b.height / 2]; })()"
        )
        for kind in ("mousePressed", "mouseReleased"):
            self.ask("Input.dispatchMouseEvent", type=kind, x=box[0], y=box[1], button="left", clickCount=1)

    def press(self, key: str) -> None:
        """A key: Tab, Enter or a space."""
        code, text = _KEYS[key]
        for kind in ("keyDown", "keyUp"):
            sent = {"text": text} if text and kind == "keyDown" else {}
            self.ask("Input.dispatchKeyEvent", type=kind, key=key, windowsVirtualKeyCode=code, **sent)

    def picture(self, path: Path, whole: bool = True) -> None:
        """A PNG of the page."""
        data = self.ask("Page.captureScreenshot", captureBeyondViewport=whole)["data"]
        path.write_bytes(base64.b64decode(data))

    def _next(self) -> dict[str, Any]:
        buffer = bytearray()
        while (byte := self._read.read(1)) != b"\0":
            assert byte, "Chromium has ended"
            buffer += byte
        message = json.loads(buffer)
        if "method" in message:
            self._events.append(message)
            self._judge(message["method"], message["params"])
        return message

    def _judge(self, method: str, parameters: dict[str, Any]) -> None:
        if method in ("Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Log.entryAdded"):
            self.complaints.append(json.dumps(parameters))
        if method == "Network.requestWillBeSent":
            url = parameters["request"]["url"]
            if not url.startswith(("file:", "data:", "about:")):
                self.complaints.append(f"asks for {url}")


@contextmanager
def chromium(profile: Path) -> Iterator[Page]:
    """
    A page in a Chromium of its own, ended with the block.

    Args:
        profile: an empty folder for it.
    """
    # Chromium takes commands from file 3 and answers into file 4; a plain sh knows no numbers above 9.
    commands, to_browser = os.pipe()
    from_browser, answers = os.pipe()
    script = f'exec "$@" 3<&{commands} 4>&{answers}'
    process = subprocess.Popen(
        ["bash", "-c", script, "bash", str(BROWSER), f"--user-data-dir={profile}", *_FLAGS],
        pass_fds=(commands, answers),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.close(commands)
    os.close(answers)
    # A browser that hangs must end the test, not stop all tests.
    watch = threading.Timer(60, process.kill)
    watch.start()
    try:
        with os.fdopen(from_browser, "rb") as read, os.fdopen(to_browser, "wb") as write:
            page = Page(read, write)
            yield page
            page._session = None
            page.ask("Browser.close")
    finally:
        watch.cancel()
        process.terminate()
        process.wait(20)
