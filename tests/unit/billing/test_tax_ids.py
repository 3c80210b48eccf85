"""VAT ids are checked for their form before anybody is asked."""

import pytest

from libs.common.contracts.plans import PlanName
from services.billing.domain.buying import PlanNotSold, price_of
from services.billing.domain.tax_ids import InvalidTaxId, normalized

PRICES = {
    "pri_pro_month": PlanName.PRO,
    "pri_pro_year": PlanName.PRO,
    "pri_scale_month": PlanName.SCALE,
    "pri_scale_year": PlanName.SCALE,
}


@pytest.mark.parametrize(
    ("number", "country", "expected"),
    [
        ("DE136695976", "DE", "DE136695976"),
        (" de 136 695 976 ", "DE", "DE136695976"),
        ("136695976", "DE", "DE136695976"),
        ("FR 61 954 506 077", "FR", "FR61954506077"),
        ("094259216", "GR", "EL094259216"),
        ("CHE-107.787.577 IVA", "CH", "CHE107787577IVA"),
        ("12-3456789", "US", "12-3456789"),
    ],
    ids=["plain", "blanks", "bare", "french", "greek", "swiss", "unknown_form"],
)
def test_a_good_one_is_written_as_everybody_writes_it(
    number: str, country: str, expected: str
) -> None:
    assert normalized(number, country) == expected


@pytest.mark.parametrize(
    ("number", "country"),
    [
        ("DE136695977", "DE"),
        ("FR61954506077", "DE"),
        ("<script>", "US"),
        ("", "DE"),
        ("x" * 99, "US"),
    ],
    ids=["digit", "country", "text", "empty", "long"],
)
def test_a_bad_one_is_refused(number: str, country: str) -> None:
    with pytest.raises(InvalidTaxId):
        normalized(number, country)


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        (None, "pri_scale_month"),
        ("pri_pro_month", "pri_scale_month"),
        ("pri_pro_year", "pri_scale_year"),
        ("pri_of_old", "pri_scale_month"),
    ],
)
def test_who_pays_by_the_year_goes_on_so(like: str | None, expected: str) -> None:
    assert price_of(PRICES, PlanName.SCALE, like=like) == expected


def test_what_has_no_price_is_not_sold() -> None:
    with pytest.raises(PlanNotSold):
        price_of({"pri_pro_month": PlanName.PRO}, PlanName.SCALE)
