"""The merchant's pages, behind the guard."""

from __future__ import annotations

import encore_static
from flask import Blueprint

NAME = "encore_dashboard"


def create_blueprint() -> Blueprint:
    """The routes under ``/encore/dashboard``."""
    return Blueprint(NAME, __name__, static_folder=encore_static.DASHBOARD, static_url_path="/static/dashboard")
