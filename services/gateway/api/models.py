"""The way in to the provider's models: many tools ask for them first."""

from services.gateway.api import views
from services.gateway.api.calls import Answer, Call
from services.gateway.api.desk import Desk, enter


async def list_models(desk: Desk, call: Call) -> Answer:
    """`GET /v1/models`."""
    context = (await enter(desk, call, "read")).caller.context
    found = await desk.ports.models.list_models(context.project_id, context.mode)
    return Answer(200, views.models(found))
