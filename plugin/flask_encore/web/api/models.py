"""The recommender's models: what is saved, what is live, training, and going back."""

from __future__ import annotations

from http import HTTPMethod
from typing import Any

from marshmallow import Schema, fields

from flask_encore.domain.errors import TrainingBusy
from flask_encore.domain.scopes import Scope
from flask_encore.domain.training import SavedModel
from flask_encore.services import recommender
from flask_encore.services.recommender import View
from flask_encore.web.api import etags
from flask_encore.web.api.documents import there
from flask_encore.web.api.fields import Flag, Moment, Strict
from flask_encore.web.api.identity import actor
from flask_encore.web.api.problems import Kind, Problem
from flask_encore.web.api.rooms import Room
from flask_encore.web.current import state

room = Room("encore_api_models", "Models", "What the recommender learned, and when.")


class ModelSchema(Schema):
    """A model on disk."""

    version = fields.String(required=True)
    live = fields.Boolean(required=True)
    trained_at = Moment(required=True)
    orders = fields.Integer(required=True, metadata={"description": "It learned from."})
    lines = fields.Integer(required=True)
    products = fields.Integer(required=True)
    hit_rate_at_3 = fields.Float(required=True, metadata={"description": "On orders held out from its training."})
    first_order_at = Moment(required=True, allow_none=True)
    last_order_at = Moment(required=True, allow_none=True)


class DriftSchema(Schema):
    """How the live model does on orders that came after it was trained."""

    trained_at = Moment(required=True)
    hit_rate_at_3 = fields.Float(required=True)
    interval_95 = fields.List(
        fields.Float(), required=True, attribute="interval", metadata={"minItems": 2, "maxItems": 2}
    )
    validation_hit_rate_at_3 = fields.Float(required=True)


class LiveModelSchema(ModelSchema):
    """The model in use."""

    problem = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Why the newest model is not in use; null when all is well."},
    )
    drift = fields.Nested(DriftSchema, required=True, allow_none=True)


class ModelsSchema(Schema):
    """Every saved model."""

    items = fields.List(fields.Nested(ModelSchema), required=True)
    training = fields.Boolean(required=True, metadata={"description": "Whether one is under way."})


class TrainSchema(Strict):
    """How to train."""

    force = Flag(load_default=False, metadata={"description": "Put it live even if it is in doubt."})


class BegunSchema(Schema):
    """A training that has begun."""

    begun = fields.Boolean(required=True)


@room.operation(HTTPMethod.GET, "/models", scope=Scope.MODELS_READ, answer=ModelsSchema)
def list_models() -> dict[str, Any]:
    """List every model that can be put live."""
    trainer = state().runtime.trainer
    running = trainer.running()
    return {"items": trainer.models(), "training": running is not None and not running.broke_off}


@room.operation(
    HTTPMethod.GET,
    "/models/live",
    scope=Scope.MODELS_READ,
    answer=LiveModelSchema,
    tag=etags.by_content,
    refuses=(404,),
)
def get_live_model() -> dict[str, Any]:
    """Read the model in use, and how it does."""
    view: View = recommender.view(state().runtime)
    live = there(view.live, "model: nothing was trained yet")
    told = {name: getattr(live, name) for name in ModelSchema().fields}
    return told | {"problem": view.problem or None, "drift": view.drift}


@room.operation(
    HTTPMethod.POST,
    "/models/train",
    scope=Scope.MODELS_WRITE,
    body=TrainSchema,
    answer=BegunSchema,
    status=202,
    key=False,
)
def train_model(body: dict[str, Any]) -> dict[str, Any]:
    """Begin to train. How it ends is in the list of models, and in the log of trainings on the dashboard."""
    try:
        recommender.begin(state().runtime, actor=actor(), force=body["force"])
    except TrainingBusy as busy:
        raise Problem(Kind.CONFLICT, str(busy)) from None
    return {"begun": True}


@room.operation(HTTPMethod.POST, "/models/<version>/use", scope=Scope.MODELS_WRITE, answer=ModelSchema, key=False)
def use_model(version: str) -> SavedModel:
    """Put a saved model live."""
    rt = state().runtime
    _saved(rt.trainer.models(), version)
    try:
        recommender.use(rt, version, actor=actor())
    except TrainingBusy as busy:
        raise Problem(Kind.CONFLICT, str(busy)) from None
    return _saved(rt.trainer.models(), version)


def _saved(models: Any, version: str) -> SavedModel:
    found: SavedModel | None = next((model for model in models if model.version == version), None)
    return there(found, "model")
