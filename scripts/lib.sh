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

# make_venv DIRECTORY [WHAT THEY INCLUDE…] REQUIREMENTS: a virtual environment with these packages, from the system's
# Python (never one of pyenv's, which have no shared libpython). A hash of what it was made from says when to make it anew.
make_venv() {
    local venv=$1 stamp=$1/.made-from python made_from
    shift
    python=${PYTHON:-/usr/bin/python3}
    [ -x "$python" ] || python=$(command -v python3) || die "python3 is missing" "install Python 3.11 or newer"
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' ||
        die "$python is $("$python" --version), and 3.11 or newer is needed" "make PYTHON=/path/to/python3.11 setup"

    made_from=$({ "$python" -c 'import sys; print(sys.version, sys.base_prefix)'; cat "$@"; } | cksum)
    if [ -x "$venv/bin/python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$made_from" ]; then
        return
    fi
    say "making ${venv#"$ROOT/"} from $python ($("$python" --version))"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --requirement "${!#}"
    echo "$made_from" >"$stamp"
}
