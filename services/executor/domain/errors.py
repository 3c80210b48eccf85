"""What an executor does not find, and what a provider does not tell."""

from libs.common.contracts.executor import (
    MODELS_UNAVAILABLE,
    NO_PROVIDER_CONNECTION,
    PROJECT_NOT_FOUND,
)
from libs.common.errors import NotFound, Unavailable


class ProjectNotFound(NotFound):
    """No such project, or not any more."""

    code = PROJECT_NOT_FOUND


class ProviderConnectionNotFound(NotFound):
    """The project has no provider yet."""

    code = NO_PROVIDER_CONNECTION


class ModelsUnavailable(Unavailable):
    """The provider gave no list of models. Never quotes it."""

    code = MODELS_UNAVAILABLE
