# syntax=docker/dockerfile:1
# One image a service, of one file:
#   docker build --build-arg SERVICE=gateway --tag reqrun/gateway .
#   docker run reqrun/gateway services.gateway web
# It holds libs/ and that one service, so that an import of another fails at the start. Settings are
# variables (docs/operations.md); health checks are those of compose and Kubernetes.

# The Python that the tests run on.
ARG PYTHON=3.11-slim-bookworm

FROM python:${PYTHON} AS packages
WORKDIR /build
COPY requirements.lock .
# Wheels only: nothing is compiled, here or later. The hashes say what may come in.
RUN python -m venv --without-pip /opt/reqrun \
    && pip --python /opt/reqrun/bin/python install --no-cache-dir --no-deps \
        --only-binary :all: --require-hashes --requirement requirements.lock

FROM packages AS tool-packages
# What the mail catcher, the one-shots and the operator's program need on top, with all that needs.
ARG TOOLS="aiosmtpd|atpublic|attrs|markdown-it-py|mdurl|psutil|pygments|rich"
COPY requirements-dev.lock .
RUN awk -v tools="^(${TOOLS})==" '/^[a-z]/ { wanted = $0 ~ tools } wanted' \
        requirements-dev.lock > tools.lock \
    && pip --python /opt/reqrun/bin/python install --no-cache-dir --no-deps \
        --only-binary :all: --require-hashes --requirement tools.lock

FROM python:${PYTHON} AS runtime
ARG SERVICE
# The base's own pip goes: nothing is installed from here on.
RUN pip uninstall --yes --quiet --root-user-action ignore setuptools wheel pip \
    && groupadd --gid 10001 reqrun \
    && useradd --uid 10001 --gid 10001 --no-create-home --shell /usr/sbin/nologin reqrun
COPY --from=packages /opt/reqrun /opt/reqrun
WORKDIR /app
COPY libs/ libs/
COPY services/__init__.py services/
COPY services/${SERVICE}/ services/${SERVICE}/
ENV PATH=/opt/reqrun/bin:$PATH \
    LANG=C.UTF-8 \
    PYTHONUNBUFFERED=1 \
    PYTHONDONTWRITEBYTECODE=1
# The root file system is read-only where it runs. Without SERVICE all of them would be here.
RUN test -f "services/${SERVICE:?is not set}/__main__.py" \
    && python -m compileall -q libs services
# A number: Kubernetes proves from it that this is not root.
USER 10001:10001
EXPOSE 8080 8081
# Exec form: process 1 is Python, and hears SIGTERM.
ENTRYPOINT ["python", "-m"]

# For docker-compose.yml only: one-shots and the mail catcher.
FROM runtime AS tools
COPY --from=tool-packages /opt/reqrun /opt/reqrun
COPY deploy/ deploy/

# The operator's program: `docker build --target operator --build-arg SERVICE=gateway …`. It comes in
# by every service's door, so all of them are here.
FROM tools AS operator
COPY services/ services/
COPY bench/__init__.py bench/histogram.py bench/
COPY bench/generator/ bench/generator/
COPY --chmod=0755 deploy/operator/reqrun.sh /opt/reqrun/bin/reqrun

# The last one is what `docker build` makes.
FROM runtime AS service
