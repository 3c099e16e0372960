#!/bin/sh
# Makes .venv with the locked packages and sees to ngspice. Every make target calls it; when nothing has changed it
# compares one stamp and looks for ngspice, no more.
#   PYTHON=...  the interpreter to use instead of python3, or the newest of 3.11 to 3.14 where python3 is none of them
set -eu
cd "$(dirname "$0")/.."

STAMP=.venv/installed
SUITABLE='import sys; raise SystemExit(not (3, 11) <= sys.version_info[:2] <= (3, 14))'
FIND_LIBRARY='import ctypes.util, os
raise SystemExit(not (os.environ.get("NGSPICE_LIBRARY_PATH") or ctypes.util.find_library("ngspice")))'

say() { printf 'setup: %s\n' "$1"; }

fail() {
    say "$1" >&2
    exit 1
}

find_python() {
    for candidate in ${PYTHON:-python3 python3.14 python3.13 python3.12 python3.11}; do
        if "$candidate" -c "$SUITABLE" 2>/dev/null; then
            command -v "$candidate"
            return
        fi
    done
    found=$("${PYTHON:-python3}" --version 2>&1) || found="none"
    fail "Python 3.11 to 3.14 is needed, found: $found; Debian: apt install python3 python3-venv, Fedora: dnf install python3, macOS: brew install python@3.13, conda: conda install python=3.13, or name one: make setup PYTHON=/path/to/python"
}

# Debian packages that are needed and absent, each with a blank before it.
missing_packages() {
    [ -x .venv/bin/python ] || "$python" -c 'import ensurepip, venv' 2>/dev/null ||
        "$python" -c 'import sys; print(" python%d.%d-venv" % sys.version_info[:2], end="")'
    command -v ngspice >/dev/null || printf ' ngspice'
    "$python" -c "$FIND_LIBRARY" || printf ' libngspice0'
}

can_install() {
    command -v apt-get >/dev/null || return 1
    if [ "$(id -u)" = 0 ]; then return 0; fi
    if [ -t 0 ]; then command -v sudo >/dev/null; else sudo -n true 2>/dev/null; fi
}

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

apt_install() {
    # shellcheck disable=SC2086  # a list of names
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends \
        -o DPkg::Lock::Timeout=120 $1 </dev/null >/dev/null
}

# Package lists may be absent or old, which only a failed installation shows.
install_packages() {
    say "installing$1"
    apt_install "$1" 2>/dev/null || { as_root apt-get update -qq </dev/null && apt_install "$1"; }
}

system_packages() {
    missing=$(missing_packages)
    [ -n "$missing" ] || return 0
    if can_install && install_packages "$missing"; then missing=$(missing_packages); fi
    [ -z "$missing" ] ||
        fail "missing, and not to be had from here:$missing (Debian's names). Install them and call make again. Debian: apt install$missing, Fedora: dnf install ngspice libngspice, macOS: brew install ngspice libngspice, conda: conda install -c conda-forge ngspice ngspice-lib (and export NGSPICE_LIBRARY_PATH=\$CONDA_PREFIX/lib/libngspice.so)"
}

state() {
    pwd
    cat requirements.lock pyproject.toml
}

python_packages() {
    if [ -x .venv/bin/python ] && state | cmp -s - "$STAMP"; then return 0; fi
    # An interrupted start leaves a Python without pip.
    .venv/bin/python -c 'import pip' 2>/dev/null || "$python" -m venv --clear .venv
    say "installing the locked packages into .venv, which takes minutes the first time"
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --requirement requirements.lock
    .venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
    state >"$STAMP"
}

python=$(find_python)
system_packages
python_packages
