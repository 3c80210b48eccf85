"""LiteLLM's proxy, one worker, as its production guide wants it.

opentelemetry is installed beside it: without it the proxy tries to import it on every request,
which would flatter us by half (measured).
"""

import os
from pathlib import Path

from bench.peers import environments
from bench.peers.proxy import Proxy
from bench.plan import LITELLM
from deploy.local.ports import free_ports
from deploy.local.programs import Program

_CONFIGURATION = """
model_list:
  - model_name: bench-model
    litellm_params:
      model: openai/bench-model
      api_base: {url}
      api_key: bench
general_settings:
  master_key: sk-bench
litellm_settings:
  request_timeout: 600
  set_verbose: false
"""


def make(folder: Path, provider_url: str) -> Proxy:
    """Not started yet. Raises NotInstalled."""
    interpreter = environments.python("litellm")
    port = free_ports()
    file = folder / "litellm.yaml"
    file.write_text(_CONFIGURATION.format(url=provider_url))
    listen = ("--host", "127.0.0.1", "--port", str(port), "--num_workers", "1")
    program = Program(
        name="litellm",
        command=(str(interpreter.with_name("litellm")), "--config", str(file), *listen),
        environment={
            "PATH": os.defpath,
            "LANG": "C.UTF-8",
            "HOME": str(folder),
            "LITELLM_LOG": "ERROR",
            "LITELLM_MODE": "PRODUCTION",
        },
        folder=str(folder),
        log=str(folder / "litellm.log"),
    )
    return Proxy(LITELLM, program, port, {"Authorization": "Bearer sk-bench"})
