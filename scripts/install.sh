# Sourced by the scripts: make .venv (or VENV) and install this checkout
# with an extra. Needs bash and Python 3.11, 3.12 or 3.13; set PYTHON to choose
# one.
extra=$1
venv=${VENV:-.venv}

find_python() {
    local candidate
    for candidate in ${PYTHON:-python3 python3.13 python3.12 python3.11}; do
        if "$candidate" -c 'import sys, venv, ensurepip
sys.exit(not (3, 11) <= sys.version_info < (3, 14))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "No Python 3.11, 3.12 or 3.13 with venv found: install one" \
        "(Debian: apt install python3 python3-venv) or set PYTHON." >&2
    return 1
}

if [ ! -x "$venv/bin/python" ]; then
    python=$(find_python)
    "$python" -m venv "$venv"
fi
. "$venv/bin/activate"

# Install again only when what it depends on has changed.
stamp=$venv/installed-$extra
if ! cmp -s setup.cfg "$stamp"; then
    echo "Installing into $venv (about a minute the first time) …"
    python -m pip install --quiet --disable-pip-version-check -e ".[$extra]"
    cp setup.cfg "$stamp"
fi
