#!/bin/sh
# What must be there before any of our Python runs: the three servers' packages and the virtual
# environment, made from the lock and nothing else. Quick and silent when all of it is there.
# `bootstrap.sh tests` wants what only tests need on top: a browser, promtool, nginx.
set -eu
cd "$(dirname "$0")/../.."

say() { printf '\033[36m•\033[0m %s\n' "$*"; }
fail() { printf '\033[31m✗\033[0m %s\n' "$*" >&2; exit 1; }
has() { command -v "$1" >/dev/null 2>&1; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif has sudo; then sudo "$@"
    else fail "Packages are missing ($missing). Install them, or run this as root or with sudo."
    fi
}

# The distribution's own interpreter comes first: it is built with the profile of real programs, as
# that of the images is; one that pyenv compiled is not, and runs our code a tenth slower or more.
distribution=/usr/bin/python3
is_new_enough() { "$1" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; }
is_complete() { is_new_enough "$1" && "$1" -c 'import ensurepip, venv' 2>/dev/null; }

find_python() {
    for is_good in is_complete is_new_enough; do
        for name in "$distribution" python3 python3.14 python3.13 python3.12 python3.11; do
            if has "$name" && "$is_good" "$name"; then echo "$name"; return; fi
        done
    done
}

# Installing a server's package starts the system's own instance of it unless this file forbids it.
policy=/usr/sbin/policy-rc.d
install_packages() {
    has apt-get || fail "Please install $missing: only apt-get is known here."
    say "Installing $missing"
    log=$(mktemp)
    as_root sh -s "$policy" "$log" $missing <<'SCRIPT' || { tail -n 20 "$log" >&2; fail "apt-get failed, see $log"; }
set -eu
policy=$1 log=$2
shift 2
put_back() {
    rm -f "$policy"
    if [ -e "$policy.before-reqrun" ]; then mv "$policy.before-reqrun" "$policy"; fi
}
# What an earlier run put aside, and was killed before it put it back, is the system's own.
if [ -e "$policy" ] && [ ! -e "$policy.before-reqrun" ]; then mv "$policy" "$policy.before-reqrun"; fi
trap put_back EXIT
trap 'exit 130' HUP INT TERM # dash leaves without a word otherwise
printf '#!/bin/sh\nexit 101\n' >"$policy"
chmod 755 "$policy"
export DEBIAN_FRONTEND=noninteractive
apt-get update >>"$log" 2>&1 || true # a stale list may still do; the next step tells
apt-get install -y --no-install-recommends "$@" >>"$log" 2>&1
SCRIPT
    rm -f "$log"
}

missing=
want() { missing="${missing:+$missing }$1"; }
python=$(find_python)
if [ -z "$python" ]; then
    want python3
    want python3-venv
elif ! is_complete "$python"; then
    want "$("$python" -c 'import sys; print("python%d.%d-venv" % sys.version_info[:2])')"
fi
ls /usr/lib/postgresql/*/bin/postgres >/dev/null 2>&1 || has postgres || want postgresql
[ -e /usr/lib/rabbitmq/bin/rabbitmq-server ] || [ -e /usr/local/sbin/rabbitmq-server ] ||
    want rabbitmq-server
has redis-server || want redis-server
if [ "${1:-}" = tests ]; then
    has chromium || has chromium-browser || has google-chrome || want chromium
    has promtool || want prometheus # its server is never started
    has nginx || [ -x /usr/sbin/nginx ] || want nginx # the Ingress of deploy/k8s is tried on it
fi
[ -z "$missing" ] || install_packages

python=$(find_python)
[ -n "$python" ] || fail "Python 3.11 or newer is needed."
lock=requirements-dev.lock
stamp=.venv/reqrun-lock
if [ ! -x .venv/bin/python ]; then
    say "Creating .venv with $("$python" --version)"
    "$python" -m venv .venv
fi
if ! cmp -s "$lock" "$stamp"; then
    say "Installing Python packages from $lock, which takes up to a minute"
    if has uv && uv --version >/dev/null 2>&1; then
        uv pip install --quiet --python .venv/bin/python --require-hashes -r "$lock"
    else
        .venv/bin/python -m pip install -qq --disable-pip-version-check --no-deps \
            --require-hashes -r "$lock"
    fi
    cp "$lock" "$stamp"
fi

# The operator's program, from any folder: relative paths are the caller's.
command=.venv/bin/reqrun
wanted="#!/bin/sh
PYTHONPATH='$PWD' exec '$PWD/.venv/bin/python' -P -m deploy.operator \"\$@\""
if [ "$(cat "$command" 2>/dev/null)" != "$wanted" ]; then
    printf '%s\n' "$wanted" >"$command"
    chmod 755 "$command"
fi
