"""The task: call the provider, keep its answer in the result store."""

import os

import httpx
from celery import Celery  # type: ignore[import-not-found]  # not in our environment
from celery.signals import worker_process_init  # type: ignore[import-not-found]  # as above

from bench.peers.celery_app.names import BACKEND_URL, BROKER_URL, PROVIDER_URL

app = Celery("bench", broker=os.environ[BROKER_URL], backend=os.environ[BACKEND_URL])
# Without confirms a message may be lost on its way, and nothing would be compared.
app.conf.broker_transport_options = {"confirm_publish": True}

_clients: list[httpx.Client] = []


@worker_process_init.connect  # type: ignore[untyped-decorator]  # as above
def _connect(**_: object) -> None:
    """One client a process, with its kept connections."""
    _clients.append(httpx.Client())


@app.task(name="complete")  # type: ignore[untyped-decorator]  # as above
def complete(body: str) -> str:
    """The provider's answer to `body`."""
    headers = {"Authorization": "Bearer bench", "Content-Type": "application/json"}
    answer = _clients[0].post(os.environ[PROVIDER_URL], content=body, headers=headers)
    answer.raise_for_status()
    return answer.text
