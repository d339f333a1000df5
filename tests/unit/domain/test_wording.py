"""Words a shopper is to read: what cannot be shown, what presses, and the honest sentences that neither is."""

from __future__ import annotations

import pytest

from flask_encore.domain.errors import InvalidInput
from flask_encore.domain.pressure import REASONS, Pressure, hits
from flask_encore.domain.pressure_words import PHRASES
from flask_encore.domain.wording import MAX_BODY, MAX_HEADLINE, Wording, faults

FINE = [
    "",
    "Tea for your pot? 🫖",
    "A family of mugs 👩\u200d👩\u200d👧",
    "5\u00a0% off",
    "I <3 tea, and 3 < 4 > 2",
    "Q&A, R&D & more; tea &c",
    "شاي\u200f أسامي \u200e(Assam)",
    "می\u200cخواهم",
    "お茶はいかがですか。",
    "1 + 1 = 2 <- really",
]


@pytest.mark.parametrize("text", FINE)
def test_words_of_every_language_pass(text: str) -> None:
    assert faults(text, most=MAX_HEADLINE) == []
    assert Wording(headline=text, body=text).headline == text


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a\u202eb", ["has U+202E (right-to-left override) at character 2: take it out."]),
        ("\u2067a\u2069", [
            "has U+2067 (right-to-left isolate) at character 1: take it out.",
            "has U+2069 (pop directional isolate) at character 3: take it out.",
        ]),
        ("a\nb\nc", ["has U+000A (a line break) at character 2: take it out."]),
        ("a\tb", ["has U+0009 (a tab) at character 2: take it out."]),
        ("a\x00", ["has U+0000 (a null character) at character 2: take it out."]),
        ("a\x9b", ["has U+009B (a control character) at character 2: take it out."]),
        ("a\u2028", ["has U+2028 (line separator) at character 2: take it out."]),
        ("\udc00", ["has U+DC00 (half of a surrogate pair) at character 1: take it out."]),
        ("<b>Tea</b>", ["has '<b>', but it is shown as text and not as HTML: take the tags out."]),
        ("Tea</p", ["has '</p', but it is shown as text and not as HTML: take the tags out."]),
        ("<!-- x -->", ["has '<!', but it is shown as text and not as HTML: take the tags out."]),
        (
            "<script>alert('a long one')</script>",
            ["has '<script>', but it is shown as text and not as HTML: take the tags out."],
        ),
        ("Tea &amp; mugs", ["has '&amp;', but it is shown as text and not as HTML: write the character itself."]),
        ("Tea&#8203;", ["has '&#8203;', but it is shown as text and not as HTML: write the character itself."]),
        ("x" * 81, ["has to be a text of at most 80 characters, got 81."]),
        (3, ["has to be a text of at most 80 characters."]),
        (None, ["has to be a text of at most 80 characters."]),
    ],
)  # fmt: skip
def test_what_cannot_be_shown_is_told_with_its_code_point_and_the_fix(text: object, told: list[str]) -> None:
    assert faults(text, most=MAX_HEADLINE) == told
    with pytest.raises(InvalidInput) as refused:
        Wording(headline=text)  # type: ignore[arg-type]
    assert str(refused.value) == f"headline {told[0]}"


def test_every_fault_is_told_at_once() -> None:
    assert len(faults("<b>\u202e&amp;" + "x" * 5000, most=MAX_BODY)) == 4


@pytest.mark.parametrize("length", [0, 1])
def test_a_text_may_be_exactly_as_long_as_its_limit(length: int) -> None:
    assert faults("x" * (MAX_HEADLINE + length), most=MAX_HEADLINE + length) == []


def test_a_text_that_has_to_be_there_is_not_spaces() -> None:
    assert faults("  ", most=60, least=1) == ["has to be a text of 1 to 60 characters, got 2."]


SCARCITY, URGENCY, SHAME = Pressure.SCARCITY, Pressure.URGENCY, Pressure.SHAME

PRESSING = [
    ("en", "Only 2 left!", SCARCITY, "Only 2 left"),
    ("en", "Just three of these mugs left", SCARCITY, "Just three of these mugs left"),
    ("en", "Selling fast", SCARCITY, "Selling fast"),
    ("en", "While stocks last", SCARCITY, "While stocks last"),
    ("en", "12 people are looking at this", SCARCITY, "people are looking at"),
    ("en", "HURRY, tea!", URGENCY, "HURRY"),
    ("en", "This is your last chance", URGENCY, "last chance"),
    ("en", "5 minutes left", URGENCY, "5 minutes left"),
    ("en", "Don’t miss out", URGENCY, "Don’t miss out"),
    ("en", "Our countdown deal", URGENCY, "countdown"),
    ("en", "No, I don't like saving", SHAME, "No, I don't"),
    ("en", "No thanks, I'd rather pay full price", SHAME, "No thanks, I'd rather"),
    ("en", "You will regret it", SHAME, "You will regret"),
    ("de", "Nur noch 2 Stück auf Lager", SCARCITY, "Nur noch 2 Stück auf Lager"),
    ("de", "Fast ausverkauft", SCARCITY, "Fast ausverkauft"),
    ("de", "Beeilen Sie sich", URGENCY, "Beeilen"),
    ("de-AT", "Letzte Chance", URGENCY, "Letzte Chance"),
    ("de", "Nein danke, ich zahle lieber mehr", SHAME, "Nein danke, ich zahle"),
    ("fr", "Il ne reste que 3 exemplaires", SCARCITY, "Il ne reste que 3"),
    ("fr", "Dépêchez-vous", URGENCY, "Dépêchez"),
    ("fr", "DEPECHEZ-VOUS", URGENCY, "DEPECHEZ"),
    ("fr", "Non merci, je n'aime pas économiser", SHAME, "Non merci, je n'"),
    ("es", "¡Solo quedan 2!", SCARCITY, "Solo quedan 2"),
    ("es", "Última oportunidad", URGENCY, "Última oportunidad"),
    ("es", "No, prefiero pagar más", SHAME, "No, prefiero"),
    ("it", "Ultimi pezzi", SCARCITY, "Ultimi pezzi"),
    ("it", "Affrettati!", URGENCY, "Affrettati"),
    ("it", "No grazie, non voglio risparmiare", SHAME, "No grazie, non voglio"),
    ("nl", "Nog maar 3 op voorraad", SCARCITY, "Nog maar 3 op voorraad"),
    ("nl", "Laatste kans", URGENCY, "Laatste kans"),
    ("nl", "Nee, ik wil geen korting", SHAME, "Nee, ik wil"),
    ("pt", "Restam apenas 2", SCARCITY, "Restam apenas 2"),
    ("pt-BR", "Não perca", URGENCY, "Não perca"),
    ("pt", "Não, prefiro pagar mais", SHAME, "Não, prefiro"),
    ("pl", "Zostało tylko 5 sztuk", SCARCITY, "Zostało tylko 5"),
    ("pl", "Pośpiesz się", URGENCY, "Pośpiesz"),
    ("pl", "Nie, wolę zapłacić więcej", SHAME, "Nie, wolę"),
    ("sv", "Bara 2 kvar", SCARCITY, "Bara 2 kvar"),
    ("sv", "Skynda dig", URGENCY, "Skynda"),
    ("sv", "Nej tack, jag betalar hellre mer", SHAME, "Nej tack, jag betalar"),
    ("da", "Kun få tilbage", SCARCITY, "Kun få tilbage"),
    ("da", "Sidste chance", URGENCY, "Sidste chance"),
    ("da", "Nej, jeg vil ikke spare", SHAME, "Nej, jeg vil"),
    ("nb", "Kun 3 igjen", SCARCITY, "Kun 3 igjen"),
    ("no", "Skynd deg", URGENCY, "Skynd deg"),
    ("nb", "Nei takk, jeg betaler heller mer", SHAME, "Nei takk, jeg betaler"),
    ("ro", "Stoc limitat", SCARCITY, "Stoc limitat"),
    ("ro", "Grăbiți-vă", URGENCY, "Grăbiți-vă"),
    ("ro", "Nu, prefer să plătesc mai mult", SHAME, "Nu, prefer"),
    ("ja", "残りわずか", SCARCITY, "残りわずか"),
    ("ja", "お急ぎください", URGENCY, "お急ぎください"),
    ("ja", "いいえ、節約したくない", SHAME, "いいえ、節約"),
    ("ar", "الكمية محدودة", SCARCITY, "الكمية محدودة"),
    ("ar", "أسرع", URGENCY, "أسرع"),
    ("ar", "لا، أفضل الدفع أكثر", SHAME, "لا، أفضل"),
]


@pytest.mark.parametrize(("language", "text", "pressure", "words"), PRESSING)
def test_a_phrase_that_presses_is_found_in_the_merchants_own_words(
    language: str, text: str, pressure: Pressure, words: str
) -> None:
    found = hits(text, language)

    assert (found[0].pressure, found[0].words) == (pressure, words)
    assert str(found[0]) == f"says {words!r}: {REASONS[pressure]}"


def test_every_language_has_an_example_of_every_kind() -> None:
    told = {({"no": "nb"}.get(tag[:2], tag[:2]), pressure) for tag, _, pressure, _ in PRESSING}

    assert told == {(language, pressure) for language in PHRASES for pressure in Pressure}
    assert set(PHRASES) == {"en", "de", "fr", "es", "it", "nl", "pt", "pl", "sv", "da", "nb", "ro", "ja", "ar"}


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("Hur\u200bry up", "en"),
        ("Hur\u00adry up", "en"),
        ("Ｈｕｒｒｙ up", "en"),
        ("Hurry up", "de"),
        ("Hurry up", "xx"),
        ("last\u00a0 \u2009chance", "en"),
        ("N\u0075r noch 2 Stu\u0308ck", "de"),
    ],
)
def test_a_word_is_found_however_it_is_hidden(text: str, language: str) -> None:
    assert len(hits(text, language)) == 1


HONEST = {
    "en": [
        "Only the finest tea, from one garden in Assam.",
        "Made in small batches, glazed by hand.",
        "The last word in teapots.",
        "It lasts for years, and so does its lid.",
        "Now in three colours. Add one to your order?",
        "Turn left at the handle: it fits either hand.",
        "Ready in only 3 minutes. No need to wait for the kettle.",
        "A limited edition of 200, numbered on the base.",
        "There is no better friend of a good book.",
        "Goes well with what you just bought. Same parcel, no extra shipping.",
        "If you like it strong, use two spoons.",
        "Our bestseller since 1998.",
    ],
    "de": [
        "Nur das Beste: Tee aus einem einzigen Garten.",
        "In kleinen Mengen von Hand gemacht.",
        "Nur 3 Minuten ziehen lassen.",
        "Der letzte Schliff für Ihren Teetisch.",
        "Jetzt auch in Blau. Passt in dasselbe Paket.",
        "Ein Becher, der lange hält.",
        "Da fehlt nur noch ein Löffel Honig.",
        "Heute bestellt, mit Ihrer Kanne verschickt.",
        "Nein, hier tropft nichts: die Tülle schließt dicht.",
        "Ich mag es kräftig? Dann nehmen Sie zwei Löffel.",
        "Limitierte Auflage, am Boden nummeriert.",
        "Für alle, die gern sparen: 10 % auf das zweite Stück.",
    ],
    "fr": [
        "Seulement le meilleur thé, d'un seul jardin.",
        "Fabriqué en petites séries.",
        "La dernière touche pour votre table.",
        "Il reste chaud une heure.",
        "Maintenant en bleu.",
    ],
    "es": ["Solo el mejor té.", "Hecho en pequeños lotes.", "No gotea nunca.", "El último toque para tu mesa."],
    "it": ["Solo il miglior tè.", "Fatto in piccoli lotti.", "L'ultimo tocco per la tavola.", "Non gocciola."],
    "nl": ["Alleen de beste thee.", "In kleine partijen gemaakt.", "Een mok voor elke dag.", "Nu ook in blauw."],
    "pt": ["Só o melhor chá.", "Feito em pequenos lotes.", "O último toque para a sua mesa.", "Não pinga."],
    "pl": ["Tylko najlepsza herbata.", "Robione w małych partiach.", "Ostatni szlif.", "Nie kapie."],
    "sv": ["Bara det bästa teet.", "Gjort i små partier.", "Den sista touchen.", "Nu även i blått."],
    "da": ["Kun den bedste te.", "Lavet i små partier.", "Prikken over i'et.", "Nu også i blå."],
    "nb": ["Bare den beste teen.", "Laget i små partier.", "Prikken over i-en.", "Nå også i blått."],
    "ro": ["Doar cel mai bun ceai.", "Făcut în loturi mici.", "Nu picură.", "Acum și în albastru."],
    "ja": ["最高のお茶だけを。", "少量ずつ手作り。", "毎日使えるマグ。", "期間限定フレーバーではなく、定番です。"],
    "ar": ["أفضل شاي فقط.", "مصنوع على دفعات صغيرة.", "كوب لكل يوم.", "متوفر الآن باللون الأزرق."],
}


@pytest.mark.parametrize(
    ("language", "text"), [(language, text) for language, texts in HONEST.items() for text in texts]
)
def test_an_honest_sentence_passes(language: str, text: str) -> None:
    assert hits(text, language) == []
    assert faults(text, most=MAX_BODY) == []


def test_a_phrase_within_another_is_told_once() -> None:
    assert [hit.words for hit in hits("Nur noch 2 Stück auf Lager, only 2 left", "de")] == [
        "Nur noch 2 Stück auf Lager",
        "only 2 left",
    ]
