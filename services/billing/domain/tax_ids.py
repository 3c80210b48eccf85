"""VAT ids: checked for their form and check digits before anybody is asked.

Whether a number is registered is Paddle's to find out: it takes the tax, and answers for it.
"""

import re
from typing import Final

from stdnum.eu import vat
from stdnum.exceptions import ValidationError
from stdnum.util import get_cc_module

from libs.common.errors import InvalidInput

_OTHER: Final = re.compile(r"[A-Z0-9][A-Z0-9./ -]{2,29}")
_PREFIXES: Final = {"GR": "EL"}  # Greece's numbers do not begin with its code


class InvalidTaxId(InvalidInput):
    """It cannot be one."""

    code = "invalid_tax_id"

    def __init__(self) -> None:
        super().__init__("This is no VAT id of this country. Write it as it is on your invoices.")


def normalized(number: str, country: str) -> str:
    """As Paddle and the EU write it: without blanks, within the EU with its prefix.

    `country`: ISO 3166-1 alpha-2. Of countries whose form is not known, any sensible text is taken.
    Raises InvalidTaxId.
    """
    text = number.strip().upper()
    module = get_cc_module(country, "vat")
    if module is None:
        if not _OTHER.fullmatch(text):
            raise InvalidTaxId
        return text
    try:
        if country.lower() in vat.MEMBER_STATES:
            return str(vat.validate(_prefixed(text, _PREFIXES.get(country, country))))
        return str(module.validate(text))
    except ValidationError:
        raise InvalidTaxId from None


def _prefixed(text: str, prefix: str) -> str:
    return text if text.startswith(prefix) else prefix + text
