# shellcheck shell=bash
# Shared by the scripts, which source it: where the checkout is, how they talk (stderr is talk, stdout is data), and
# where the tools are. It changes nothing by itself.

ROOT=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
VENV=$ROOT/.venv
TARGET=${CARGO_TARGET_DIR:-$ROOT/target}
export ROOT VENV TARGET

if [ -t 2 ] && [ -z "${NO_COLOR:-}" ]; then
    BOLD=$'\e[1m' RED=$'\e[31m' PLAIN=$'\e[0m'
else
    BOLD='' RED='' PLAIN=''
fi

# A newly installed Rust is not yet on the PATH of the shell that installed it.
if ! command -v cargo >/dev/null && [ -x "$HOME/.cargo/bin/cargo" ]; then
    PATH=$HOME/.cargo/bin:$PATH
fi

say() { printf '%s==>%s %s\n' "$BOLD" "$PLAIN" "$*" >&2; }

# die WHAT HOW: one line what is wrong, one line how to fix it.
die() {
    printf '%serror:%s %s\n' "$RED" "$PLAIN" "$1" >&2
    [ -z "${2:-}" ] || printf '  fix: %s\n' "$2" >&2
    exit "${3:-1}"
}

have() { command -v "$1" >/dev/null 2>&1; }

# True when the user has a package index of Hackage, in any place where cabal keeps it.
have_hackage_index() {
    local dir
    for dir in "${CABAL_DIR:-$HOME/.cabal}/packages" "${XDG_CACHE_HOME:-$HOME/.cache}/cabal/packages"; do
        compgen -G "$dir/*/01-index.tar*" >/dev/null && return 0
    done
    return 1
}

# The Python that virtual environments are made from: the system's, never one of pyenv's, which have no shared libpython.
venv_python() {
    local python=${PYTHON:-/usr/bin/python3}
    if [ -z "${PYTHON:-}" ] && [ ! -x "$python" ]; then python=python3; fi
    command -v "$python" || die "$python is missing" "install Python 3.11 or newer, or make PYTHON=/path/to/python3.11 setup"
}

# made_from PYTHON FILE…: a hash (SHA-256) of which Python it is and of what the files hold.
made_from() {
    "$1" -I -S -c '
import hashlib, sys
if sys.version_info < (3, 11):
    sys.exit(3)
made = hashlib.sha256(repr((sys.version, sys.base_prefix)).encode())
for name in sys.argv[1:]:
    with open(name, "rb") as file:
        made.update(hashlib.sha256(file.read()).digest())
print(made.hexdigest())' "${@:2}" || {
        [ $? != 3 ] || die "$1 is $("$1" --version), and 3.11 or newer is needed" "make PYTHON=/path/to/python3.11 setup"
        return 1
    }
}

# is_made_from VENV HASH
is_made_from() { [ -x "$1/bin/python" ] && [ "$(cat "$1/.made-from" 2>/dev/null)" = "$2" ]; }

# venv_is_current DIRECTORY FILE…: true when make_venv would do nothing.
venv_is_current() {
    local python hash
    python=$(venv_python) || return
    hash=$(made_from "$python" "${@:2}") || return
    is_made_from "$1" "$hash"
}

# uv does not read pip's settings: who has some (a mirror, say) is served by pip.
pip_has_settings() {
    local file
    if compgen -e PIP_ | grep -qvx PIP_CONFIG_FILE; then return 0; fi
    case ${PIP_CONFIG_FILE:-} in
        /dev/null) return 1 ;; # pip's word for: no such file is read
        ?*) return 0 ;;
    esac
    for file in /etc/pip.conf /etc/xdg/pip/pip.conf "$HOME/.pip/pip.conf" "${XDG_CONFIG_HOME:-$HOME/.config}/pip/pip.conf" \
        {"$HOME",}"/Library/Application Support/pip/pip.conf"; do
        if [ -e "$file" ]; then return 0; fi
    done
    return 1
}

# make_venv DIRECTORY [WHAT THEY INCLUDE…] REQUIREMENTS: a virtual environment with these packages, made anew when the
# hash of what it was made from says so. uv installs them if it is there, else pip.
make_venv() {
    local venv=$1 requirements=${!#} python hash
    shift
    python=$(venv_python)
    hash=$(made_from "$python" "$@")
    if is_made_from "$venv" "$hash"; then return; fi
    [ -w "$requirements" ] || die "$requirements cannot be written, so this checkout is not yours to set up" "work in a clone of your own"
    # One at a time: several terminals and an editor may enter the workspace at once. The lock is on the requirements,
    # because the environment goes and comes; Python takes it, because not every system has flock. Opened for writing,
    # which NFS wants of a lock that excludes others; nothing is written.
    (
        exec 9<>"$requirements"
        "$python" -I -S -c '
import fcntl, sys
try:
    fcntl.flock(9, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    print("==> waiting for somebody else who is making it:", sys.argv[1], file=sys.stderr)
    fcntl.flock(9, fcntl.LOCK_EX)' "$venv"
        if is_made_from "$venv" "$hash"; then exit; fi
        say "making ${venv#"$ROOT/"} from $python ($("$python" --version))"
        "$python" -m venv --clear "$venv"
        if have uv && ! pip_has_settings; then
            install=(env UV_PYTHON_DOWNLOADS=never uv pip install --python "$venv/bin/python")
        else
            install=("$venv/bin/python" -m pip install --disable-pip-version-check)
        fi
        "${install[@]}" --quiet --requirement "$requirements" ||
            die "what ${requirements#"$ROOT/"} names could not be installed" "see above; a mirror is told to pip: PIP_INDEX_URL, or pip config"
        echo "$hash" >"$venv/.made-from"
    )
}
