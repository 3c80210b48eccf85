"""The dashboards, as data: one for each question that an operator has."""

from typing import Final

from deploy.grafana.boards import counting, dependencies, execution, gate, promise

BOARDS: Final = (promise.BOARD, gate.BOARD, execution.BOARD, dependencies.BOARD, counting.BOARD)
