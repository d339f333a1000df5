"""The extension object: reads the configuration once, builds the adapters, mounts the blueprints. No logic.

One object serves any number of apps; what belongs to an app is in ``app.extensions["flask-encore"]``.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TypeVar

from flask import Flask, current_app
from sqlalchemy import Engine

from flask_encore import signals
from flask_encore.config import EXTENSION, MAX_UNDO_SECONDS, Settings
from flask_encore.domain.charges import Charge
from flask_encore.domain.errors import ConfigurationError, InvalidInput
from flask_encore.domain.events import ChargeEvent, EventKind
from flask_encore.domain.orders import PaidOrder, Product, checked_ref
from flask_encore.domain.ports import Clock, Gateway, Ranker
from flask_encore.domain.prices import OfferLine, Quote, Quoter
from flask_encore.domain.training import TrainingReport
from flask_encore.payments.stripe_gateway import StripeGateway
from flask_encore.ranking.acceptance import LearnedAcceptance
from flask_encore.ranking.copurchase import CoPurchaseRanker
from flask_encore.ranking.trainer import CoPurchaseTrainer
from flask_encore.services import recording, recovering, refunding, sending, stocking, training
from flask_encore.services.importing import OrderFile, ProductFile
from flask_encore.services.recording import Recorded
from flask_encore.services.runtime import Handler, Runtime, logger, utc_now
from flask_encore.services.working import Worker, work_once
from flask_encore.store import catalog, charges
from flask_encore.store.database import Database
from flask_encore.store.migrations import upgrade
from flask_encore.web import api, dashboard, health, injection, neighbours, offer, storefront, webhooks
from flask_encore.web.current import AdminGuard, AppState, state
from flask_encore.web.phrases import SHIPPED
from flask_encore.web.tokens import OrderTicket, Tokens

H = TypeVar("H", bound=Handler)

#: A token is read this much longer than offer and undo last, so that a slow shopper is told what happened.
TOKEN_GRACE_SECONDS = 3600


class Catalog:
    """The products Encore may offer, as the shop last handed them in. Needs an app context."""

    def upsert(self, products: Iterable[Product]) -> int:
        """Write *products*, new or known by sku, and answer how many. *stock* is set to what is handed in.

        Raises:
            InvalidInput: If anything else than a `Product` is among them; then nothing is written.
        """
        rows = list(products)
        for row in rows:
            if not isinstance(row, Product):
                raise InvalidInput(f"catalog.upsert takes Product values, got {row!r}.")
        rt = state().runtime
        with rt.db.write() as connection:
            return catalog.upsert(connection, rows, now=rt.clock())

    def get(self, sku: str) -> Product | None:
        """The product *sku*, or ``None``."""
        with state().runtime.db.read() as connection:
            return catalog.find(connection, sku)


class Encore:
    """Puts one well-chosen offer on a Flask shop's thank-you page.

    Every ``ENCORE_*`` key is read once, in `init_app`; later changes of the configuration are not seen.

    Args:
        app: Bound at once when given; else call `init_app`.
        admin_guard: As for `init_app`.
    """

    def __init__(self, app: Flask | None = None, *, admin_guard: AdminGuard | None = None) -> None:
        self.catalog = Catalog()
        self._handlers: dict[EventKind, list[Handler]] = defaultdict(list)
        if app is not None:
            self.init_app(app, admin_guard=admin_guard)

    def init_app(
        self,
        app: Flask,
        *,
        admin_guard: AdminGuard | None = None,
        engine: Engine | None = None,
        clock: Clock = utc_now,
        gateway: Gateway | None = None,
        ranker: Ranker | None = None,
    ) -> None:
        """Bind Encore to *app*.

        Args:
            admin_guard: Called on every merchant page: an actor's name lets in, ``None`` or False answers 403, a
                response is sent as it is. Without a guard everybody gets 403.
            engine: Where Encore's tables live, instead of ``ENCORE_DATABASE_URI``.
            clock: Tells the time; for tests.
            gateway: Instead of Stripe; for tests.
            ranker: Instead of the trained recommender; for tests and for shops with their own.

        Raises:
            ConfigurationError: If *app* has Encore already, or a key is wrong; every wrong key is named.
        """
        if EXTENSION in app.extensions:
            raise ConfigurationError(
                "Encore is bound to this app already. Call init_app once for each app; "
                "one Encore object may serve several apps."
            )
        settings = Settings.from_config(app.config, instance_path=app.instance_path, secret_key=app.secret_key)
        catalogues = SHIPPED.with_folder(Path(app.root_path, settings.locales)) if settings.locales else SHIPPED
        model_dir = Path(settings.model_dir)
        embedded = settings.worker == "embedded"
        worker = Worker(lambda: _in_context(app, lambda: work_once(runtime)), wanted=lambda: not app.testing)
        runtime = Runtime(
            settings=settings,
            db=Database(
                engine if engine is not None else settings.database_uri, patience_ms=settings.decision_budget_ms
            ),
            gateway=gateway or (StripeGateway(settings, clock=clock) if settings.stripe_secret_key else None),
            ranker=ranker or CoPurchaseRanker(model_dir),
            trainer=CoPurchaseTrainer(model_dir),
            acceptance=LearnedAcceptance(model_dir),
            clock=clock,
            publish=lambda event: _publish(app, event),
            wake=worker.wake if embedded else _stay_asleep,
            handlers=self._handlers,
            consent_version=catalogues.consent_version,
            quote=None if settings.quote is None else _quoting(app, settings.quote),
        )
        # As long as the settings page allows: a longer undo window has to find the tokens of offers it is shown with.
        lifetime = 2 * settings.offer_ttl_seconds + MAX_UNDO_SECONDS + TOKEN_GRACE_SECONDS
        tokens = Tokens(settings.secret_keys, lifetime_seconds=lifetime, clock=clock)
        app.extensions[EXTENSION] = AppState(
            runtime=runtime, tokens=tokens, admin_guard=admin_guard, worker=worker, catalogues=catalogues
        )
        blueprints = [room.create_blueprint() for room in (offer, webhooks, dashboard, health)]
        blueprints.append(
            storefront.create_blueprint(
                settings.storefront_origins,
                rate_limit_storage=settings.rate_limit_storage,
                counts=runtime.counts,
            )
        )
        for blueprint in blueprints:
            app.register_blueprint(blueprint, url_prefix=settings.url_prefix)
        if settings.api:
            blueprints += api.install(app, settings, counts=runtime.counts)
        if embedded:
            # The first request starts it, in the process that serves: work an earlier process left must not wait for
            # the next accept.
            app.before_request(worker.start)
        injection.install(app)
        neighbours.install(app, blueprints)

    def order_paid(self, order: PaidOrder) -> Recorded:
        """Tell Encore of a paid order. Call it after your own commit; it never makes your checkout fail.

        Idempotent on order_ref: the same content again is a no-op. Needs an app context.

        Raises:
            OrderConflict: If the order_ref, or the payment, is known with different content.
            InvalidInput: If *order* is not a `PaidOrder`.
        """
        if not isinstance(order, PaidOrder):
            raise InvalidInput(f"order_paid takes a PaidOrder, got {order!r}.")
        return recording.record(state().runtime, order)

    def thank_you(self, *, order_ref: str) -> Callable[..., object]:
        """Decorate a thank-you view whose argument *order_ref* holds the order's key."""
        return injection.thank_you(order_ref=order_ref)

    def storefront_token(self, order_ref: str, *, page: str = "/") -> str:
        """A token that opens the offers of *order_ref* to a page of another origin, for a day. Needs an app context.

        Hand it only to whom the order belongs: who holds it sees the offer and may buy it.

        Args:
            page: Path of the page on the storefront, where a bank sends the shopper back to.
        """
        app = state()
        ticket = OrderTicket(order_ref=checked_ref("order_ref", order_ref), account=app.runtime.account, path=page)
        return app.tokens.issue_order(ticket)

    def order_status(self, *, order_ref: str) -> Callable[..., object]:
        """Decorate the view of a page where an order is looked up; its argument *order_ref* holds the order's key."""
        return injection.order_status(order_ref=order_ref)

    def on(self, kind: str) -> Callable[[H], H]:
        """Register a handler of the events *kind*, such as ``@encore.on("charge_succeeded")``.

        It is called with a `ChargeEvent`, at least once, in order per order, in an app context; when it raises it is
        called again later. Make it idempotent by ``event.charge_ref``.

        Raises:
            InvalidInput: If there is no such event.
        """
        try:
            event_kind = EventKind(kind)
        except ValueError as error:
            known = ", ".join(EventKind)
            raise InvalidInput(f"There is no event {kind!r}; the events are {known}.") from error

        def register(handler: H) -> H:
            self._handlers[event_kind].append(handler)
            return handler

        return register

    def refund(self, charge_ref: str, *, actor: str) -> Charge:
        """Refund a charge in full. Idempotent; *actor* is written down with it. Needs an app context.

        Raises:
            InvalidInput: If there is no such charge.
        """
        rt = state().runtime
        with rt.db.read() as connection:
            charge = charges.find(connection, charge_ref)
        if charge is None or charge.account != rt.account:
            raise InvalidInput(f"There is no charge {charge_ref!r}.")
        return refunding.refund(rt, charge, actor=actor)

    def import_products(
        self, path: str | Path, *, currency: str, progress: Callable[[float], None] | None = None
    ) -> ProductFile:
        """Read a product file into the catalogue, as ``flask encore import products`` does. Needs an app context.

        Raises:
            InvalidInput: When the file cannot be read; then nothing is imported.
        """
        return stocking.import_products(state().runtime, Path(path), currency=currency, progress=progress)

    def import_orders(
        self, path: str | Path, *, currency: str, progress: Callable[[float], None] | None = None
    ) -> OrderFile:
        """Read an order history, as ``flask encore import orders`` does. Idempotent. Needs an app context.

        Raises:
            InvalidInput: When the file cannot be read; then nothing is imported.
        """
        return stocking.import_orders(state().runtime, Path(path), currency=currency, progress=progress)

    def train(self, *, force: bool = False, progress: Callable[[float], None] | None = None) -> TrainingReport:
        """Train the recommender on every recorded order and put it live. Needs an app context.

        A model in doubt (too few orders, or worse than the best-sellers) is not put live unless *force* says so; then
        the report's version is empty and its doubt says why.

        Raises:
            TrainingBusy: Another training is under way; nothing was done.
        """
        return training.train(state().runtime, force=force, progress=progress)

    def sweep(self) -> recovering.Swept:
        """Do everything that is due, once, as ``flask encore sweep`` does. Needs an app context."""
        rt = state().runtime
        done = recovering.sweep(rt)
        sending.send(rt, patience_seconds=sending.PATIENCE_SECONDS)
        return done

    def close(self) -> None:
        """End the embedded worker after its round and close the database connections. Needs an app context.

        For tests and for programs that end before their process does; a web server needs none of it.
        """
        app = state()
        app.worker.stop()
        app.runtime.couriers.wait(sending.PATIENCE_SECONDS)
        app.runtime.db.dispose()

    def upgrade(self) -> None:
        """Create or migrate Encore's tables, as ``flask encore db upgrade`` does. Needs an app context."""
        upgrade(state().runtime.db.engine)

    @property
    def runtime(self) -> Runtime:
        """The parts of the current app, for tools and tests. Needs an app context."""
        return state(current_app._get_current_object()).runtime  # type: ignore[attr-defined]


def _publish(app: Flask, event: ChargeEvent) -> None:
    """Tell every observer, each on its own: the money has moved, and nobody's observer can take that back."""
    for receiver in signals.BY_KIND[event.kind].receivers_for(app):
        try:
            receiver(app, event=event)
        except Exception:
            state(app).runtime.counts.add("observer_failed")
            logger.exception("an observer of %s failed, order %s", event.kind, event.order_ref)


def _in_context(app: Flask, run: Callable[[], object]) -> None:
    with app.app_context():
        run()


def _quoting(app: Flask, quote: Quoter) -> Quoter:
    """The shop's own quote, in an app context of its own: it runs beside the request, in another thread."""

    def asked(order: PaidOrder, lines: Sequence[OfferLine]) -> Quote:
        with app.app_context():
            return quote(order, lines)

    return asked


def _stay_asleep() -> None:
    """No embedded worker: somebody runs ``flask encore work`` or ``sweep``."""
