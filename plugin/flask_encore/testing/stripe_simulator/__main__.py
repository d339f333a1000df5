"""``python -m flask_encore.testing.stripe_simulator``: the simulator on its own, until Ctrl-C."""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from flask_encore.testing.stripe_simulator.simulator import StripeSimulator


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m flask_encore.testing.stripe_simulator",
        description="A stateful Stripe on 127.0.0.1 for tests and demos. No money moves.",
    )
    parser.add_argument("--port", type=int, default=4242, help="TCP port on 127.0.0.1; 0 picks one (default: 4242)")
    parser.add_argument("--secret-key", default="sk_test_simulator", help="the key the API accepts")
    parser.add_argument("--publishable-key", default="pk_test_simulator", help="the key Stripe.js may use")
    parser.add_argument("--state", type=Path, metavar="FILE", help="JSON file to begin from and to keep in step")
    parser.add_argument(
        "--webhook",
        action="append",
        default=[],
        metavar="URL,SECRET",
        help="send events to URL, signed with SECRET; may be repeated",
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    """Serve until SIGINT or SIGTERM; answers the exit status."""
    parser = _parser()
    options = parser.parse_args(arguments)
    sim = StripeSimulator(
        secret_key=options.secret_key, publishable_key=options.publishable_key, state_file=options.state
    )
    for each in options.webhook:
        url, _, secret = each.rpartition(",")
        try:
            sim.add_webhook(url, secret)
        except ValueError as error:
            parser.error(f"--webhook {each}: {error}")
    over = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: over.set())
    try:
        sim.start(options.port)
    except OSError as error:
        parser.error(f"port {options.port} on 127.0.0.1: {error.strerror}")
    with sim:
        sys.stdout.write(f"Stripe simulator  {sim.url}\nStripe.js         {sim.stripe_js_url}\n")
        sys.stdout.write(f"Keys              {sim.secret_key}  {sim.publishable_key}\nEnd with Ctrl-C.\n")
        sys.stdout.flush()
        over.wait()
    return 0


if __name__ == "__main__":
    sys.exit(main())
