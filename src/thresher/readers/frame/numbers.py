"""Numbers as people write them: decimal commas, separated thousands, signs of currencies, and what they look like."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property

BLANKS = " \u00a0\u2009\u202f"
QUOTES = "'\u2019"
MINUS = "-\u2212\u2013\ufe63\uff0d"
"""The hyphen of keyboards, the sign of typography, and what is written for it."""
SYMBOLS = "%‰€$£¥₹₽₩₺₴₫฿₦₱₪¢"
"""What stands beside a number and is no unit of letters."""
ABOUT = "~\u2248<>\u2264\u2265\u00b1"
"""What stands before a number that is not exact."""
INFINITE = ("inf", "infinity")
MAX_UNIT = 4
"""Letters of a unit, such as kg or EUR."""


@dataclass(frozen=True)
class NumberFormat:
    """How a file writes numbers.

    Attributes:
        decimal: what divides the whole part from the fraction.
        thousands: what may stand between groups of digits, or None; a blank stands for all kinds of blanks, an
            apostrophe for both.
        symbols: what stands before or after each number of a column and is left out, such as % or EUR.
    """

    decimal: str = "."
    thousands: str | None = None
    symbols: Sequence[str] = field(default=())

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as programs write them."""
        return self.decimal == "." and self.thousands is None and not self.symbols

    def read(self, text: str) -> str | None:
        """Return the number ``text`` as Python writes it, such as 1234.5 for 1.234,5; None where it is none."""
        if not text.isascii():
            text = _plain_digits(text)
        found = self._pattern.fullmatch(text.strip())
        if found is None:
            return text if text.strip().lstrip("+-").lower() in INFINITE else None
        sign, inner, whole, fraction, exponent = found.group("sign", "inner", "whole", "fraction", "exponent")
        digits = re.sub(r"\D", "", whole)
        if not digits and not fraction:
            return None
        negative = "-" if (sign or inner or "+") in MINUS else ""
        return f"{negative}{digits or '0'}{f'.{fraction}' if fraction else ''}{exponent or ''}"

    def symbol(self, text: str) -> str:
        """Return which of the symbols stands beside the number ``text``, or "": what is about 20 has no other unit."""
        found = self._pattern.fullmatch(text.strip())
        symbol = (found.group("before") or found.group("after") or "") if found else ""
        return "" if symbol in tuple(ABOUT) else symbol

    @cached_property
    def _pattern(self) -> re.Pattern[str]:
        blank = f"[{BLANKS}]*"
        grouped = ""
        if self.thousands is not None:
            between = _class_of(self.thousands)
            # No group begins with a zero, and what has groups no exponent: 0.564 and 5.299E-06 are fractions.
            grouped = rf"[1-9][0-9]{{0,2}}(?:{between}[0-9]{{2,3}})*{between}[0-9]{{3}}(?![0-9.,]*[eE][+-]?[0-9])|"
        symbols = "|".join(re.escape(symbol) for symbol in sorted(self.symbols, key=len, reverse=True)) or r"(?!)"
        return re.compile(
            rf"(?P<sign>[{MINUS}+])?(?:(?P<before>{symbols}){blank})?(?(sign)|(?P<inner>[{MINUS}+])?)"
            rf"(?P<whole>{grouped}[0-9]*)(?:{re.escape(self.decimal)}(?P<fraction>[0-9]*))?"
            rf"(?P<exponent>[eE][+-]?[0-9]+)?(?:{blank}(?P<after>{symbols}))?"
        )


PLAIN = NumberFormat()
MIN_SHARE_READ = 0.9
"""A column of which a larger share can be read as numbers is a column of numbers."""


def format_in(texts: Collection[str], declared: NumberFormat) -> NumberFormat:
    """Return ``declared``, or the plain format where most of the different ``texts`` are written so instead.

    One file may hold columns that people have written, and others that programs have.
    """
    if declared.is_plain or _share(texts, declared) >= MIN_SHARE_READ or _share(texts, PLAIN) < MIN_SHARE_READ:
        return declared
    return PLAIN


MANY_POINTS = 5
DIVIDED = re.compile(r"[+-]?[1-9]\d{0,2}\.\d{3}$")


def find_divided_thousands(texts: Iterable[str]) -> str:
    """Return one of ``texts``, plain numbers, whose point may divide thousands, as in 1.234; "" where none may.

    Points may where all of them stand so, in MANY_POINTS different texts or more, beside numbers without a point.
    """
    given = set(texts)
    dotted = {text for text in given if "." in text}
    may = MANY_POINTS <= len(dotted) < len(given) and all(map(DIVIDED.match, dotted))
    return min(dotted) if may else ""


def _share(texts: Collection[str], form: NumberFormat) -> float:
    return sum(form.read(text) is not None for text in texts) / max(len(texts), 1)


def _class_of(separator: str) -> str:
    for alike in (BLANKS, QUOTES):
        if separator in alike:
            return f"[{alike}]"
    return re.escape(separator)


def _plain_digits(text: str) -> str:
    """Return ``text`` with digits of other scripts as those of ASCII, as Python's float takes them."""
    return "".join(str(int(character)) if character.isdecimal() else character for character in text)


LIKE_A_NUMBER = re.compile(
    rf"[({{]?\s*[{MINUS}+]?\s*(?P<before>[A-Z]{{0,3}}[{SYMBOLS}]|[A-Z]{{3}}\s|[{ABOUT}]=?)?\s*[{MINUS}+]?\s*"
    rf"(?P<digits>[0-9]+(?:[.,'\u2019{BLANKS}_][0-9]+)*|[.,][0-9]+)[.,]?-?(?P<exponent>[eE][+-]?[0-9]+|[dD][+-][0-9]+)?"
    rf"\s*(?P<after>[{SYMBOLS}]|[A-Za-z\u00b0\u00b5\u03bc][A-Za-z/\u00b2\u00b3]{{0,{MAX_UNIT - 1}}})?"
    rf"[\-\u2212]?\s*[)}}]?"
)
"""A number with what people put around and into it; also what only looks like one."""


def is_like_a_number(text: str) -> bool:
    """Return whether ``text`` looks like a number, in whatever way it may be written, also with a unit."""
    return LIKE_A_NUMBER.fullmatch(text.strip()) is not None


def unit_of_number(text: str) -> str:
    """Return the letters of the unit in ``text``, which looks like a number, such as kg; "" where it has none."""
    found = LIKE_A_NUMBER.fullmatch(text.strip())
    unit = ((found["before"] or "").strip() or found["after"] or "") if found else ""
    return "" if any(symbol in unit for symbol in SYMBOLS) else unit


def suggest_format(texts: Sequence[str]) -> list[NumberFormat]:
    """Return the formats by which most of ``texts`` are numbers, where it is at least one; two where either may be."""
    symbols = _symbols_of(texts)
    candidates = [NumberFormat(decimal, thousands, symbols) for decimal, thousands in CANDIDATES]
    scores = [sum(candidate.read(text) is not None for text in texts) for candidate in candidates]
    best = max(scores, default=0)
    chosen = [candidate for candidate, score in zip(candidates, scores, strict=True) if score == best and best]
    fewest = min((_options(candidate) for candidate in chosen), default=0)
    return [candidate for candidate in chosen if _options(candidate) == fewest][:2]


CANDIDATES = [
    (decimal, thousands)
    for decimal, separators in ((".", (None, ",", " ", "'", "_")), (",", (None, ".", " ", "'", "_")))
    for thousands in separators
]


def _options(form: NumberFormat) -> int:
    return (form.decimal != ".") + (form.thousands is not None)


def _symbols_of(texts: Sequence[str]) -> tuple[str, ...]:
    found = [match for text in texts if (match := LIKE_A_NUMBER.fullmatch(text.strip()))]
    symbols = {(match["before"] or "").strip() or match["after"] or "" for match in found} - {""}
    return tuple(sorted(symbols)) if len(symbols) <= 1 else ()


def describe_format(form: NumberFormat) -> str:
    """Return ``form`` as a catalog entry writes it."""
    told = [f'decimal: "{form.decimal}"'] if form.decimal != "." else []
    told += [f'thousands: "{form.thousands}"'] if form.thousands is not None else []
    told += [f"symbols: [{', '.join(map(repr, form.symbols))}]"] if form.symbols else []
    return " and ".join(told)
