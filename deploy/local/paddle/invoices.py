"""A PDF of one page, as small as one may be (PDF 1.4; ISO 32000-1, annex H)."""

from typing import Final

from deploy.local.paddle.store import Thing

_LINE: Final = 22


def pdf(transaction: Thing) -> bytes:
    """It says of itself that it is none."""
    totals = transaction["details"]["totals"]
    currency = transaction["currency_code"]
    lines = [
        f"Invoice {transaction['invoice_number']}",
        "Made by the local stand-in for Paddle: no money moved, and this is no invoice.",
        f"Billed at {transaction['billed_at']}",
        *(item["price"]["description"] for item in transaction["items"]),
        *(f"{name.capitalize()} {_cents(totals[name])} {currency}" for name in _NAMES),
    ]
    return _document(lines)


_NAMES: Final = ("subtotal", "tax", "total")


def _cents(amount: str) -> str:
    return f"{int(amount) / 100:,.2f}"


def _document(lines: list[str]) -> bytes:
    shown = " ".join(f"({_escaped(line)}) Tj 0 -{_LINE} Td" for line in lines)
    stream = f"BT /F1 12 Tf 50 780 Td {shown} ET".encode("latin-1", "replace")
    font = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"
    page = (
        b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 595 842] /Contents 4 0 R"
        b" /Resources << /Font << /F1 5 0 R >> >> >>"
    )
    bodies = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        page,
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        font,
    ]
    document, places = b"%PDF-1.4\n", []
    for number, body in enumerate(bodies, start=1):
        places.append(len(document))
        document += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size, start = len(bodies) + 1, len(document)
    document += b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table)
    document += b"trailer\n<< /Size %d /Root 1 0 R >>\n" % size
    return document + b"startxref\n%d\n%%%%EOF\n" % start


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
