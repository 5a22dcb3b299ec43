"""A supervision report as PDF, in one language; the same report gives the same bytes.

The Chinese glyphs are those of Adobe's standard font ``STSong-Light``, which readers bring along: nothing is
embedded, so that a report stays small.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from html import escape
from typing import Final

from reportlab.lib import colors
from reportlab.lib.enums import TA_RIGHT
from reportlab.lib.pagesizes import A4
from reportlab.lib.styles import ParagraphStyle
from reportlab.lib.units import mm
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.platypus import Flowable, Paragraph, SimpleDocTemplate, Spacer, Table, TableStyle

from sandbox.casework.supervision import Report
from sandbox.doors.report_words import Section, sections, title
from sandbox.errors import Lang

FONT: Final = "STSong-Light"
MARGIN: Final = 18 * mm
WIDTH: Final = A4[0] - 2 * MARGIN
_TEXT: Final = ParagraphStyle("text", fontName=FONT, fontSize=9, leading=13, wordWrap="CJK")
_NUMBER: Final = ParagraphStyle("number", _TEXT, alignment=TA_RIGHT)
_HEAD: Final = ParagraphStyle("head", _TEXT, textColor=colors.HexColor("#4a5560"))
_NUMBER_HEAD: Final = ParagraphStyle("number head", _HEAD, alignment=TA_RIGHT)
_TITLE: Final = ParagraphStyle("title", _TEXT, fontSize=17, leading=24)
_SECTION: Final = ParagraphStyle("section", _TEXT, fontSize=12, leading=18, spaceBefore=10, spaceAfter=4)
_LINES: Final = TableStyle(
    [
        ("LINEBELOW", (0, 0), (-1, -1), 0.4, colors.HexColor("#c9d1d9")),
        ("VALIGN", (0, 0), (-1, -1), "TOP"),
        ("LEFTPADDING", (0, 0), (-1, -1), 6),
        ("RIGHTPADDING", (0, 0), (-1, -1), 6),
    ]
)


def as_pdf(report: Report, lang: Lang) -> bytes:
    """The report on paper of A4."""
    pdfmetrics.registerFont(UnicodeCIDFont(FONT))
    out = io.BytesIO()
    name = title(report).text(lang)
    document = SimpleDocTemplate(
        out, pagesize=A4, title=name, invariant=1,
        leftMargin=MARGIN, rightMargin=MARGIN, topMargin=MARGIN, bottomMargin=MARGIN,
    )  # fmt: skip
    story: list[Flowable] = [_paragraph(name, _TITLE), Spacer(0, 4 * mm)]
    for section in sections(report, lang):
        story += _section(section)
    document.build(story)
    return out.getvalue()


def _section(section: Section) -> Iterable[Flowable]:
    yield _paragraph(section.title, _SECTION)
    if not section.rows:
        yield _paragraph(section.empty, _HEAD)
        return
    heads = [
        _paragraph(head, _NUMBER_HEAD if i in section.right else _HEAD)
        for i, head in enumerate(section.heads)
    ]
    cells = [[_cell(text, i in section.right) for i, text in enumerate(row)] for row in section.rows]
    yield Table([heads, *cells], colWidths=_widths(section), repeatRows=1, style=_LINES)


def _widths(section: Section) -> Sequence[float]:
    """Numbers take a share of one, words of two."""
    shares = [1 if i in section.right else 2 for i in range(len(section.heads))]
    return [WIDTH * share / sum(shares) for share in shares]


def _cell(text: str, number: bool) -> Paragraph:
    return _paragraph(text, _NUMBER if number else _TEXT)


def _paragraph(text: str, style: ParagraphStyle) -> Paragraph:
    """Text as it is: what it holds is not markup."""
    return Paragraph(escape(text), style)
