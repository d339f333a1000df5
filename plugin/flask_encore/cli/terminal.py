"""What all commands share: the app they run in, who runs them, and refusals in sentences."""

from __future__ import annotations

import getpass
import json

import click
from flask import current_app

from flask_encore.config import EXTENSION
from flask_encore.domain.errors import EncoreError
from flask_encore.services.campaign_schema import DefinitionRefused
from flask_encore.services.runtime import Runtime
from flask_encore.store.database import StoreError


class Sentences(click.Group):
    """Says what went wrong, and the fix, in a sentence instead of a traceback."""

    def invoke(self, ctx: click.Context) -> object:
        try:
            return super().invoke(ctx)
        except DefinitionRefused as refusal:
            raise click.ClickException("Nothing was changed.\n" + "\n".join(refusal.sentences())) from refusal
        except EncoreError as error:
            raise click.ClickException(str(error)) from error
        except StoreError as error:
            raise click.ClickException(
                f"The database did not do it ({type(error).__name__}: {str(error).splitlines()[0]}). "
                "Are the tables there? Run: flask encore db upgrade"
            ) from error


def runtime() -> Runtime:
    """Encore's parts in the app at hand."""
    if EXTENSION not in current_app.extensions:
        raise click.ClickException("This app has no Encore: call encore.init_app(app) in its factory.")
    rt: Runtime = current_app.extensions[EXTENSION].runtime
    return rt


def who(given: str | None) -> str:
    """Who the audit log names: *given*, or the login name."""
    if given is not None:
        return given
    try:
        return f"cli:{getpass.getuser()}"
    except (KeyError, OSError):  # a container's user without a name
        return "cli"


def told(values: object) -> None:
    """Print values as JSON."""
    click.echo(json.dumps(values, indent=2, ensure_ascii=False))


ACTOR = click.option("--actor", help="Who the audit log names; default is cli: and your login name.")
AS_JSON = click.option("--json", "as_json", is_flag=True, help="Print it as JSON.")
