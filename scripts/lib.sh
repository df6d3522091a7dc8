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
