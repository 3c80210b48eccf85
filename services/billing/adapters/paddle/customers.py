"""Customers at Paddle, where they are taxed and in whose name they buy."""

from typing import Final
from urllib.parse import quote

from services.billing.adapters.paddle.asking import NEWEST, Asking, Body, path_to
from services.billing.adapters.paddle.shapes import AddressShape, BusinessShape, CustomerShape
from services.billing.domain.paddle import Address, Business, Customer, PaddleAway, PaddleRefused

_TAKEN: Final = "customer_already_exists"


class CustomersApi(Asking):
    """Part of the port."""

    async def find_customer(self, email: str) -> Customer | None:
        """By address of e-mail, archived ones too."""
        params = {"email": email, "status": "active,archived"}
        found = await self.first_page("/customers", CustomerShape, params)
        return next((shape.read() for shape in found), None)

    async def get_customer(self, customer_id: str) -> Customer:
        """One of them."""
        return (await self.get(path_to("customers", customer_id), CustomerShape)).read()

    async def create_customer(self, email: str, account_id: str) -> Customer:
        """Where nobody knows whether it was made, and where it was there: whoever has the address.

        Raises PaddleAway where neither is known.
        """
        body = {"email": email, "custom_data": {"account_id": account_id}}
        try:
            return (await self.post("/customers", body, CustomerShape)).read()
        except (PaddleAway, PaddleRefused) as failed:
            if isinstance(failed, PaddleRefused) and failed.reason != _TAKEN:
                raise
            found = await self.find_customer(email)
            if found is None:
                raise
            return found

    async def update_customer(self, customer_id: str, email: str) -> None:
        """A second time changes nothing."""
        await self.patch(path_to("customers", customer_id), {"email": email}, CustomerShape)

    async def list_addresses(self, customer_id: str) -> list[Address]:
        """The active ones, newest first."""
        path = path_to("customers", customer_id, "addresses")
        return [shape.read() for shape in await self.first_page(path, AddressShape, NEWEST)]

    async def save_address(
        self, customer_id: str, address_id: str | None, country: str, postal_code: str | None
    ) -> Address:
        """Of a new one whose making got no answer, the list tells."""
        path = path_to("customers", customer_id, "addresses")
        body: Body = {"country_code": country, "postal_code": postal_code}
        if address_id is not None:
            changed = await self.patch(f"{path}/{quote(address_id, safe='')}", body, AddressShape)
            return changed.read()
        try:
            return (await self.post(path, body, AddressShape)).read()
        except PaddleAway:
            made = await self.list_addresses(customer_id)
            wanted = (country, postal_code)
            found = [one for one in made if (one.country, one.postal_code) == wanted]
            if not found:
                raise
            return found[0]

    async def list_businesses(self, customer_id: str) -> list[Business]:
        """The active ones, newest first."""
        path = path_to("customers", customer_id, "businesses")
        return [shape.read() for shape in await self.first_page(path, BusinessShape, NEWEST)]

    async def save_business(
        self, customer_id: str, business_id: str | None, name: str, tax_id: str | None
    ) -> Business:
        """Of a new one whose making got no answer, the list tells."""
        path = path_to("customers", customer_id, "businesses")
        body: Body = {"name": name, "tax_identifier": tax_id}
        if business_id is not None:
            changed = await self.patch(f"{path}/{quote(business_id, safe='')}", body, BusinessShape)
            return changed.read()
        try:
            return (await self.post(path, body, BusinessShape)).read()
        except PaddleAway:
            made = await self.list_businesses(customer_id)
            found = [one for one in made if (one.name, one.tax_id) == (name, tax_id)]
            if not found:
                raise
            return found[0]

    async def archive_business(self, customer_id: str, business_id: str) -> None:
        """A second time changes nothing."""
        path = path_to("customers", customer_id, "businesses", business_id)
        await self.patch(path, {"status": "archived"}, BusinessShape)
