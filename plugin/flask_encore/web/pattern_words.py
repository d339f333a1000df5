"""What the samples on the patterns page are called in every shipped language; in any other one, as in English."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One language's coffee pot.

    Attributes:
        currency: Of the shopper, lower-case.
        pot: The offered product; *mill* was bought, *beans* come with it in a bundle.
        headline: What a merchant might have written; so *body*, and *message*, the label of a text field.
    """

    currency: str
    pot: str
    mill: str
    beans: str
    wrap: str
    message: str
    headline: str
    body: str


SAMPLES: Mapping[str, Sample] = {
    "en": Sample(
        currency="gbp",
        pot="Enamel coffee pot, 1 litre",
        mill="Hand coffee mill",
        beans="Coffee beans, 500 g",
        wrap="Gift wrapping",
        message="Your message",
        headline="A pot for your new mill?",
        body="Enamelled by hand, for every hob. It travels in the same parcel.",
    ),
    "de": Sample(
        currency="eur",
        pot="Emaille-Kaffeekanne, 1 Liter",
        mill="Handkaffeemühle",
        beans="Kaffeebohnen, 500 g",
        wrap="Geschenkverpackung",
        message="Ihre Nachricht",
        headline="Eine Kanne zu Ihrer neuen Mühle?",
        body="Von Hand emailliert, für jeden Herd. Sie reist im selben Paket.",
    ),
    "fr": Sample(
        currency="eur",
        pot="Cafetière émaillée, 1 litre",
        mill="Moulin à café manuel",
        beans="Café en grains, 500 g",
        wrap="Emballage cadeau",
        message="Votre message",
        headline="Une cafetière pour votre moulin ?",
        body="Émaillée à la main, pour tous les feux. Elle voyage dans le même colis.",
    ),
    "es": Sample(
        currency="eur",
        pot="Cafetera esmaltada, 1 litro",
        mill="Molinillo de café manual",
        beans="Café en grano, 500 g",
        wrap="Envoltorio de regalo",
        message="Su mensaje",
        headline="¿Una cafetera para su molinillo?",
        body="Esmaltada a mano, para todas las cocinas. Viaja en el mismo paquete.",
    ),
    "it": Sample(
        currency="eur",
        pot="Caffettiera smaltata, 1 litro",
        mill="Macinacaffè manuale",
        beans="Caffè in grani, 500 g",
        wrap="Confezione regalo",
        message="Il suo messaggio",
        headline="Una caffettiera per il suo macinacaffè?",
        body="Smaltata a mano, per tutti i fornelli. Viaggia nello stesso pacco.",
    ),
    "nl": Sample(
        currency="eur",
        pot="Emaille koffiepot, 1 liter",
        mill="Handkoffiemolen",
        beans="Koffiebonen, 500 g",
        wrap="Cadeauverpakking",
        message="Uw bericht",
        headline="Een pot bij uw nieuwe molen?",
        body="Met de hand geëmailleerd, voor elk fornuis. Hij reist mee in hetzelfde pakket.",
    ),
    "pt": Sample(
        currency="eur",
        pot="Cafeteira esmaltada, 1 litro",
        mill="Moinho de café manual",
        beans="Café em grão, 500 g",
        wrap="Embrulho de presente",
        message="A sua mensagem",
        headline="Uma cafeteira para o seu moinho?",
        body="Esmaltada à mão, para todos os fogões. Viaja na mesma encomenda.",
    ),
    "pl": Sample(
        currency="pln",
        pot="Emaliowany dzbanek do kawy, 1 litr",
        mill="Ręczny młynek do kawy",
        beans="Kawa ziarnista, 500 g",
        wrap="Pakowanie na prezent",
        message="Twoja wiadomość",
        headline="Dzbanek do nowego młynka?",
        body="Emaliowany ręcznie, na każdą kuchenkę. Jedzie w tej samej paczce.",
    ),
    "sv": Sample(
        currency="sek",
        pot="Emaljerad kaffekanna, 1 liter",
        mill="Handkvarn för kaffe",
        beans="Kaffebönor, 500 g",
        wrap="Presentinslagning",
        message="Ditt meddelande",
        headline="En kanna till din nya kvarn?",
        body="Emaljerad för hand, för alla spisar. Den reser i samma paket.",
    ),
    "da": Sample(
        currency="dkk",
        pot="Emaljeret kaffekande, 1 liter",
        mill="Håndkaffemølle",
        beans="Kaffebønner, 500 g",
        wrap="Gaveindpakning",
        message="Din besked",
        headline="En kande til din nye mølle?",
        body="Emaljeret i hånden, til alle komfurer. Den rejser i samme pakke.",
    ),
    "nb": Sample(
        currency="nok",
        pot="Emaljert kaffekanne, 1 liter",
        mill="Håndkaffekvern",
        beans="Kaffebønner, 500 g",
        wrap="Gaveinnpakning",
        message="Din beskjed",
        headline="En kanne til din nye kvern?",
        body="Emaljert for hånd, for alle komfyrer. Den reiser i samme pakke.",
    ),
    "ro": Sample(
        currency="ron",
        pot="Cafetieră emailată, 1 litru",
        mill="Râșniță manuală de cafea",
        beans="Cafea boabe, 500 g",
        wrap="Ambalaj de cadou",
        message="Mesajul dumneavoastră",
        headline="O cafetieră pentru noua râșniță?",
        body="Emailată manual, pentru orice aragaz. Călătorește în același colet.",
    ),
    "ja": Sample(
        currency="jpy",
        pot="ホーローコーヒーポット 1リットル",
        mill="手挽きコーヒーミル",
        beans="コーヒー豆 500g",
        wrap="ギフト包装",
        message="メッセージ",
        headline="新しいミルにポットはいかがですか？",
        body="職人が仕上げたホーロー製。同じ荷物でお届けします。",
    ),
    "ar": Sample(
        currency="aed",
        pot="إبريق قهوة مطلي بالمينا، لتر واحد",
        mill="مطحنة قهوة يدوية",
        beans="حبوب قهوة، 500 غ",
        wrap="تغليف هدية",
        message="رسالتك",
        headline="إبريق لمطحنتك الجديدة؟",
        body="مطلي بالمينا يدويًا، يناسب كل المواقد، ويصل في الطرد نفسه.",
    ),
}
