"""The buttons whose words nobody edits: order, order for free, no thanks. One exact text per language.

An order button that does not say it costs money binds nobody: Directive 2011/83/EU, article 8(2), wants it labelled
"only with the words ‘order with obligation to pay’ or a corresponding unambiguous formulation", and the Court of
Justice reads nothing but the button (C-249/21, Fuhrmann-2). So these texts are code: a catalogue that says anything
else is refused, and a change of a label is a change of this file.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Labels:
    """The locked labels of one language.

    Attributes:
        accept: Orders and pays. Carries ``{total}``, or the words of a law that allows nothing beside them; then the
            total stands directly above and describes the button.
        accept_free: Orders what costs nothing; may not speak of an obligation to pay, for there is none.
        decline: The no: a plain one, of equal weight.
        source: The law that gives *accept* its words, or the one it answers.
    """

    accept: str
    accept_free: str
    decline: str
    source: str


#: The keys of a catalogue that are locked.
KEYS = ("accept", "accept_free", "decline")

#: Language -> its labels. Regions of a language (``de_AT``) are held to the language's.
LOCKED: Mapping[str, Labels] = {
    "ar": Labels(
        accept="اشترِ الآن · {total}",
        accept_free="أضِف مجانًا",
        decline="لا، شكرًا",
        # Arabic is not a language of the Directive; the label is its "buy now", with the total.
        source="modelled on Directive 2011/83/EU, art. 8(2)",
    ),
    "da": Labels(
        accept="Ordre med betalingsforpligtelse",
        accept_free="Tilføj gratis",
        decline="Nej tak",
        # The section was read in a secondary source only.
        source="forbrugeraftaleloven § 12; Directive 2011/83/EU, art. 8(2)",
    ),
    "de": Labels(
        accept="Zahlungspflichtig bestellen",
        accept_free="Kostenlos hinzufügen",
        decline="Nein, danke",
        source="§ 312j(3) BGB; § 8(2) FAGG; Directive 2011/83/EU, art. 8(2)",
    ),
    "en": Labels(
        accept="Buy now · {total}",
        accept_free="Add for free",
        decline="No thanks",
        # A "corresponding unambiguous formulation". English also speaks to everybody whose language we lack.
        source="Consumer Contracts Regulations 2013 (UK), reg. 14(4); Directive 2011/83/EU, art. 8(2)",
    ),
    "es": Labels(
        accept="Pedido con obligación de pago",
        accept_free="Añadir gratis",
        decline="No, gracias",
        source="TRLGDCU, art. 98.2; Directive 2011/83/EU, art. 8(2)",
    ),
    "fr": Labels(
        accept="Commande avec obligation de paiement",
        accept_free="Ajouter gratuitement",
        decline="Non merci",
        source="Code de la consommation, art. L. 221-14; Directive 2011/83/EU, art. 8(2)",
    ),
    "it": Labels(
        accept="Ordine con obbligo di pagare",
        accept_free="Aggiungi gratuitamente",
        decline="No, grazie",
        source="Codice del consumo, art. 51(2); Directive 2011/83/EU, art. 8(2)",
    ),
    "ja": Labels(
        accept="購入を確定する（{total}）",
        accept_free="無料で追加する",
        decline="いいえ、結構です",
        # The last screen has to show quantity and price, and may not mislead about being an order.
        source="Act on Specified Commercial Transactions, art. 12-6",
    ),
    "nb": Labels(
        accept="Bestill med betalingsplikt",
        accept_free="Legg til gratis",
        decline="Nei takk",
        # The Directive holds in Norway through the EEA Agreement, so nothing is added. A corresponding formulation:
        # the words of the Norwegian act itself could not be read when this was written.
        source="angrerettloven (LOV-2014-06-20-27); Directive 2011/83/EU, art. 8(2), by the EEA Agreement",
    ),
    "nl": Labels(
        accept="Bestelling met betalingsverplichting",
        accept_free="Gratis toevoegen",
        decline="Nee, bedankt",
        source="art. 6:230v(3) BW; Directive 2011/83/EU, art. 8(2)",
    ),
    "pl": Labels(
        accept="Zamówienie z obowiązkiem zapłaty",
        accept_free="Dodaj bezpłatnie",
        decline="Nie, dziękuję",
        source="ustawa o prawach konsumenta, art. 17; Directive 2011/83/EU, art. 8(2)",
    ),
    "pt": Labels(
        accept="Encomenda com obrigação de pagar",
        accept_free="Adicionar gratuitamente",
        decline="Não, obrigado",
        source="Decreto-Lei 24/2014, art. 5; Directive 2011/83/EU, art. 8(2)",
    ),
    "ro": Labels(
        accept="Comandă ce implică o obligație de plată",
        accept_free="Adăugați gratuit",
        decline="Nu, mulțumesc",
        source="OUG 34/2014, art. 8; Directive 2011/83/EU, art. 8(2)",
    ),
    "sv": Labels(
        accept="Beställning förenad med betalningsskyldighet",
        accept_free="Lägg till gratis",
        decline="Nej tack",
        source="Directive 2011/83/EU, art. 8(2)",
    ),
}


def locked(language: str) -> Mapping[str, str]:
    """Locked key -> its exact text in *language*; empty for a language we do not ship."""
    labels = LOCKED.get(language)
    return {} if labels is None else {key: getattr(labels, key) for key in KEYS}
