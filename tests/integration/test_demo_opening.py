"""The one command, as a stranger types it."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import requests


def test_the_command_opens_the_shop_says_where_and_closes_cleanly(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        command = [sys.executable, "-m", "flask_encore.demo", "--port", str(port), "--instance", str(tmp_path / "shop")]
        command += ["--no-past"]
        environ = {key: value for key, value in os.environ.items() if not key.startswith("STRIPE_")}
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environ
        ) as shop:
            try:
                said = read_until(shop, "Ctrl-C closes the shop.")
                url, thanks, dashboard = (
                    re.findall(rf"{name} +(http://127\.0\.0\.1:\d+/\S*)", said)[0]
                    for name in ("Shop", "Thank-you", "Dashboard")
                )
                assert f"({port} was taken)" in said
                assert requests.get(url, timeout=20).status_code == 200
                with requests.Session() as browser:
                    assert "<encore-offer" in browser.get(thanks, timeout=20).text
                with requests.Session() as browser:
                    assert browser.get(dashboard, timeout=20).url == f"{url}encore/dashboard/"
                second = subprocess.run(command, capture_output=True, text=True, env=environ, timeout=60, check=False)
                assert second.returncode == 2
                assert "it is open already" in second.stderr
            finally:
                shop.send_signal(signal.SIGTERM)
                rest = shop.communicate(timeout=20)[0]
        assert shop.returncode == 0
        assert rest.strip() == "The shop is closed."


def read_until(process: subprocess.Popen[str], last: str) -> str:
    """What the process said up to the line with *last*; all of it when it ends before."""
    assert process.stdout is not None
    said = ""
    for line in process.stdout:
        said += line
        if last in line:
            break
    return said
