"""Campaigns as a file that is kept in git: one canonical text, and a reader that trusts nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, NoReturn

from flask_encore.domain.campaigns import Campaign
from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.rule_json import short
from flask_encore.services.campaign_fields import meant
from flask_encore.services.campaign_schema import CampaignRefused, campaign_of

#: The format written here; a later one will have another number.
FORMAT = 1

#: Campaigns of one file.
MAX_CAMPAIGNS = 10_000

#: A thousand campaigns with copy in fourteen languages are 5 MB.
MAX_BYTES = 50_000_000


def parsed(content: bytes | str) -> Any:
    """The JSON values of a file anybody may have written.

    Raises:
        CampaignRefused: If it is too large, not UTF-8, not JSON, nested too deep, or has a key twice in one object.
    """
    if len(content) > MAX_BYTES:
        raise _refused(f"The file has {len(content):,} bytes; {MAX_BYTES:,} is the most.")
    try:
        text = content.decode("utf-8-sig") if isinstance(content, bytes) else content
        return json.loads(text, object_pairs_hook=_each_once, parse_constant=_no_number)
    except InvalidInput as error:
        raise _refused(str(error)) from None
    except UnicodeDecodeError as error:
        raise _refused(f"The file is not UTF-8 (byte {error.start}): save it as UTF-8.") from None
    except json.JSONDecodeError as error:
        raise _refused(f"The file is not JSON: {error.msg} in line {error.lineno}, column {error.colno}.") from None
    except RecursionError:
        raise _refused("The file is nested too deep to be read.") from None
    except ValueError:  # an integer with thousands of digits
        raise _refused("The file has a number that is too long to be read.") from None


def written(document: Mapping[str, Any]) -> str:
    """A document as text: the same text for the same campaigns, so that git shows what changed and nothing else."""
    return json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def campaigns_in(document: object) -> list[Campaign]:
    """Every campaign of a document.

    Raises:
        CampaignRefused: With every error of every campaign, by its path in the document.
    """
    campaigns, errors = read(document)
    if errors:
        raise CampaignRefused(errors)
    return [campaign for _, campaign in campaigns]


def read(document: object) -> tuple[list[tuple[str, Campaign]], dict[str, list[str]]]:
    """Campaigns that can be read, each with where it stands, and what is wrong with the others."""
    listed, errors = _listed(document)
    found: list[tuple[str, Campaign]] = []
    known: dict[str, str] = {}
    for place, definition in enumerate(listed):
        at = f"campaigns[{place}]"
        try:
            campaign = campaign_of(definition, at=at, linted=True)
        except CampaignRefused as refusal:
            errors |= refusal.errors
            continue
        first = known.setdefault(campaign.ref, at)
        if first != at:
            errors[f"{at}.ref"] = [f"is that of {first} already: each campaign has its own."]
        found.append((at, campaign))
    return found, errors


def _listed(document: object) -> tuple[list[Any], dict[str, list[str]]]:
    wanted = 'has to be {"format": 1, "campaigns": […]}'
    if not isinstance(document, Mapping):
        return [], {"": [f"The file {wanted}, got {short(document)}."]}
    errors: dict[str, list[str]] = {}
    known = ("format", "campaigns")
    for key in [key for key in document if key not in known][:MAX_SHOWN]:
        errors[short(key)] = [f"is not known here.{meant(key, known) or f' The file {wanted}.'}"]
    if document.get("format") != FORMAT or isinstance(document.get("format"), bool):
        errors["format"] = [f"has to be {FORMAT}, got {short(document.get('format'))}."]
    listed = document.get("campaigns")
    if not isinstance(listed, list) or len(listed) > MAX_CAMPAIGNS:
        errors["campaigns"] = [f"has to be a list of at most {MAX_CAMPAIGNS:,} campaigns, got {short(listed)}."]
        return [], errors
    return listed, errors


#: Unknown keys of the file that are told one by one.
MAX_SHOWN = 20


def _each_once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object whose keys are all different: of two with one name JSON would silently keep the last."""
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for key in keys if keys.count(key) > 1)
        near = f" (beside {short(found.get('ref') or found.get('kind') or next(iter(found)))})"
        raise InvalidInput(f"{short(twice)} is there twice in one object{near}: keep one of them.")
    return found


def _no_number(word: str) -> NoReturn:
    raise InvalidInput(f"{word} is not a number that JSON has.")


def _refused(told: str) -> CampaignRefused:
    return CampaignRefused({"": [told]})
