"""The shop's own words in three languages, and money as each of them writes it. Products keep their English names."""

from __future__ import annotations

from datetime import datetime

from babel.dates import format_date

from flask_encore.domain.money import Money
from flask_encore.web.phrases import phrases_for

#: Locale -> the language's name for itself.
LOCALES = {"en": "English", "de": "Deutsch", "ar": "العربية"}
#: Locale -> language tag: the shop is British, and writes 14:33 and £1.00.
TAGS = {"en": "en-GB", "de": "de", "ar": "ar"}
RIGHT_TO_LEFT = frozenset({"ar"})

_WORDS: dict[str, tuple[str, str, str]] = {
    "skip": ("Skip to the shelves", "Zum Inhalt springen", "انتقل إلى المحتوى"),
    "tagline": (
        "Tea, paper and things for the garden",
        "Tee, Papier und Dinge für den Garten",
        "الشاي والورق وأشياء للحديقة",
    ),
    "search": ("Search", "Suchen", "بحث"),
    "search_label": ("Search the shop", "Im Laden suchen", "ابحث في المتجر"),
    "cart": ("Basket", "Korb", "السلة"),
    "shelves": ("Shelves", "Regale", "الأقسام"),
    "language": ("Language", "Sprache", "اللغة"),
    "welcome": ("Slow things, sent quickly.", "Langsame Dinge, schnell verschickt.", "أشياء هادئة تصل بسرعة."),
    "welcome_more": (
        "A small shop for tea drinkers, letter writers and people with soil under their nails.",
        "Ein kleiner Laden für alle, die Tee trinken, Briefe schreiben und Erde unter den Nägeln haben.",
        "متجر صغير لمحبي الشاي وكتابة الرسائل ولمن تلامس أيديهم التراب.",
    ),
    "favourites": ("What people take home", "Was die Leute mitnehmen", "الأكثر طلبًا"),
    "add": ("Add to basket", "In den Korb", "أضف إلى السلة"),
    "added": ("In your basket.", "Liegt im Korb.", "أُضيف إلى سلتك."),
    "quantity": ("Quantity", "Menge", "الكمية"),
    "change": ("Update", "Ändern", "تحديث"),
    "remove": ("Remove", "Entfernen", "إزالة"),
    "total": ("Total", "Summe", "المجموع"),
    "tax": ("Tax and delivery included.", "Inklusive Steuer und Versand.", "شامل الضريبة والتوصيل."),
    "empty": ("Your basket is empty.", "Ihr Korb ist leer.", "سلتك فارغة."),
    "look_around": ("Have a look around", "Sehen Sie sich um", "تصفح المتجر"),
    "pay": ("Order and pay", "Zahlungspflichtig bestellen", "اطلب وادفع"),
    "consent": (
        "You pay on Stripe’s page. Stripe keeps your card, so that you can add one more thing with one click on the "
        "next page. Nothing is ever charged without that click.",
        "Sie zahlen auf der Seite von Stripe. Stripe bewahrt Ihre Karte auf, damit Sie auf der nächsten Seite mit "
        "einem Klick etwas dazunehmen können. Ohne diesen Klick wird nichts abgebucht.",
        "يتم الدفع على صفحة Stripe، التي تحفظ بطاقتك لتتمكن من إضافة شيء آخر بنقرة واحدة في الصفحة التالية. "
        "لن يُخصم أي مبلغ دون تلك النقرة.",
    ),
    "in_stock": ("In stock", "Vorrätig", "متوفر"),
    "was": (
        "Lowest price of the last 30 days: {price}",
        "Niedrigster Preis der letzten 30 Tage: {price}",
        "أدنى سعر خلال آخر 30 يومًا: {price}",
    ),
    "few_left": ("Only {count} left", "Nur noch {count}", "بقي {count} فقط"),
    "sold_out": ("Sold out", "Ausverkauft", "نفد المخزون"),
    "found": ("{count} found for “{words}”", "{count} gefunden für „{words}“", "{count} نتيجة عن «{words}»"),
    "nothing_found": (
        "Nothing here by that name. Try fewer letters.",
        "Nichts mit diesem Namen. Versuchen Sie weniger Buchstaben.",
        "لا شيء بهذا الاسم. جرّب حروفًا أقل.",
    ),
    "thanks": ("Thank you. Your order is confirmed.", "Danke. Ihre Bestellung ist bestätigt.", "شكرًا. تم تأكيد طلبك."),
    "order": ("Order", "Bestellung", "الطلب"),
    "paid_total": ("Paid", "Bezahlt", "المدفوع"),
    "packing": (
        "We are finding a box that fits. It leaves tomorrow.",
        "Wir suchen gerade den passenden Karton. Morgen geht es los.",
        "نبحث عن صندوق مناسب. يُرسل غدًا.",
    ),
    "see_order": ("See your order", "Bestellung ansehen", "عرض الطلب"),
    "added_later": ("Added after checkout, charged separately", "Nachträglich dazu, einzeln bezahlt", "أُضيف لاحقًا"),
    "undone": ("Undone, refunded", "Zurückgenommen, erstattet", "أُلغي واستُرد المبلغ"),
    "back": ("Back to the confirmation", "Zurück zur Bestätigung", "العودة إلى التأكيد"),
    "not_here": ("There is nothing on this shelf.", "In diesem Regal liegt nichts.", "لا يوجد شيء هنا."),
    "not_paid": (
        "Stripe has not told us about your payment yet. Nothing is lost; please reload this page in a moment.",
        "Stripe hat uns Ihre Zahlung noch nicht gemeldet. Nichts ist verloren; laden Sie die Seite gleich noch einmal.",
        "لم تُبلغنا Stripe بالدفع بعد. لم يُفقد شيء؛ أعد تحميل الصفحة بعد لحظات.",
    ),
    "no_checkout": (
        "The payment page cannot be reached. Nothing was charged, and your basket is as it was.",
        "Die Zahlungsseite ist nicht erreichbar. Nichts wurde abgebucht, und Ihr Korb ist unverändert.",
        "تعذر الوصول إلى صفحة الدفع. لم يُخصم أي مبلغ وسلتك كما هي.",
    ),
    "too_small": (
        "Stripe takes no payment below {least}. Take a little something with it.",
        "Stripe nimmt keine Zahlung unter {least}. Nehmen Sie eine Kleinigkeit dazu.",
        "لا تقبل Stripe دفعة أقل من {least}. أضف شيئًا صغيرًا.",
    ),
    "more": ("More", "Weiter", "المزيد"),
    "earlier": ("Back", "Zurück", "السابق"),
}


def word(key: str, locale: str, **values: object) -> str:
    """The shop's sentence *key* in *locale* (one of `LOCALES`)."""
    text = _WORDS[key][list(LOCALES).index(locale)]
    return text.format(**values) if values else text


def money(amount: Money, locale: str) -> str:
    """*amount* as *locale* writes it."""
    return phrases_for(TAGS[locale]).money(amount)


def day(when: datetime, locale: str) -> str:
    """The day of *when* as *locale* writes it: ``2 March 2026``."""
    return format_date(when, format="long", locale=TAGS[locale].replace("-", "_"))


def locale_of(asked: str | None) -> str:
    """The locale to use for what a browser or a link asked for; English when it is none of ours."""
    return asked if asked in LOCALES else "en"
