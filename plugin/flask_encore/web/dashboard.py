"""The merchant's pages, behind the guard: the rooms, and what they stand on.

Every page is whole without JavaScript. The one thing that moves money is a form on a page of its own (`refund_page`),
sealed for the actor who sees it.
"""

from __future__ import annotations

from flask import Blueprint

import encore_static
from flask_encore.web import (
    campaign_editor,
    campaign_files,
    campaign_pages,
    customers_page,
    experiments_page,
    health_page,
    history_page,
    intervening_pages,
    order_page,
    orders_page,
    pair_page,
    patterns_page,
    recommender_page,
    refund_page,
    settings_page,
    switches_page,
    today_page,
    tokens_page,
    webhooks_page,
)
from flask_encore.web.dashboard_frame import NAME, guard, headers
from flask_encore.web.policies import Room


def create_blueprint() -> Blueprint:
    """The routes under ``/encore/dashboard`` and the dashboard's two assets."""
    blueprint = Room(NAME, __name__, static_folder=encore_static.DASHBOARD, static_url_path="/static/dashboard")
    blueprint.before_request(guard)
    blueprint.after_request(headers)
    for room in (
        today_page,
        orders_page,
        order_page,
        refund_page,
        intervening_pages,
        campaign_pages,
        campaign_editor,
        campaign_files,
        experiments_page,
        customers_page,
        health_page,
        history_page,
        switches_page,
        settings_page,
        tokens_page,
        webhooks_page,
        recommender_page,
        pair_page,
        patterns_page,
    ):
        room.add_to(blueprint)
    return blueprint
