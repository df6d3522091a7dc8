# shellcheck shell=bash
# What scripts/verify-workspace looks at in a shell, a function each: the tools that build and test. Each is asked itself.
# shellcheck disable=SC2154 # `row`, $shell and $nix are verify-workspace's

# version_of COMMAND…: the first number with a dot that it says.
version_of() {
    local said
    have "$1" && said=$(bounded "$@" 2>/dev/null) && [[ $said =~ [0-9]+(\.[0-9]+)+ ]] && echo "${BASH_REMATCH[0]}"
}

# at_least LEAST VERSION
at_least() { [ "$(printf '%s\n%s\n' "$1" "$2" | sort -V | head -n 1)" = "$1" ]; }

# is_version WANTED VERSION: 9.10 is 9.10 and 9.10.2, not 9.1.
is_version() { [ "$2" = "$1" ] || [[ $2 == "$1".* ]]; }

check_rust() {
    local least found
    least=$(sed -n 's/^rust-version *= *"\(.*\)"/\1/p' "$ROOT/Cargo.toml")
    found=$(version_of rustc --version)
    if ! have cargo || [ -z "$found" ]; then
        row rust missing 'cargo and rustc, or one of them, is not there or does not run' "install Rust $least or newer: https://rustup.rs"
    elif at_least "$least" "$found"; then
        row rust ok "$found; $least or newer is needed"
    else
        row rust old "$found; $least or newer is needed" 'rustup update stable'
    fi
}

# check_ghc [VERSION]; make setup and the flake bring those that are known to work.
check_ghc() { check_compiler ghc "${1:-}" 9.0; }
check_cabal() { check_compiler cabal "${1:-}" 3.4; }
check_compiler() {
    local found
    found=$(version_of "$1" --numeric-version)
    if [ -z "$found" ]; then
        row "$1" missing 'it is not there or does not run' 'make setup'
    elif [ -n "$2" ] && ! is_version "$2" "$found"; then
        row "$1" other "$found; this shell is for $2" "nix develop .#$shell"
    elif at_least "$3" "$found"; then
        row "$1" ok "$found; ${2:-$3 or newer} is needed"
    else
        row "$1" old "$found; $3 or newer is needed" 'make setup'
    fi
}

# Haskell's, without which cabal has nothing to build from; the list is that of setup-system.
check_libraries() {
    local library wanted known missing=()
    if have_hackage_index; then
        row libraries ok 'cabal gets the Haskell libraries from Hackage'
        return
    fi
    read -ra wanted < <(sed -n 's/^libraries=(\(.*\))/\1/p' "$ROOT/scripts/setup-system" | sed s/quickcheck2/QuickCheck/)
    known=" $(ghc-pkg list --simple-output --names-only 2>/dev/null) "
    for library in "${wanted[@]}"; do [[ $known == *" $library "* ]] || missing+=("$library"); done
    if [ ${#missing[@]} = 0 ]; then
        row libraries ok "GHC has all ${#wanted[@]} Haskell libraries"
    else
        row libraries missing "GHC does not have ${missing[*]}" 'make setup, or for those of Hackage: cabal update'
    fi
}

# check_python [VERSION]: the one that .venv is made from.
check_python() {
    local python found=''
    python=$(venv_python 2>/dev/null) && found=$(version_of "$python" --version)
    if [ -z "$found" ]; then
        row python missing "${PYTHON:-python3} is not there or does not run" 'make setup'
    elif [ -n "$1" ] && ! is_version "$1" "$found"; then
        row python other "$found ($python); this shell is for $1" "nix develop .#$shell"
    elif ! at_least 3.11 "$found"; then
        row python old "$found ($python); 3.11 or newer is needed" 'make PYTHON=/path/to/python3.11 setup'
    elif ! "$python" -c 'import sysconfig as s; raise SystemExit(s.get_config_var("Py_ENABLE_SHARED") != 1 and not s.get_config_var("PYTHONFRAMEWORK"))'; then
        row python static "$found ($python) has no shared libpython, which python-executor embeds" 'make PYTHON=/path/to/another setup'
    else
        row python ok "$found ($python); ${1:-3.11 or newer} is needed"
    fi
}

check_venv() {
    if "$ROOT/scripts/setup-python" --check; then
        row venv ok ".venv, of Python $(version_of "$VENV/bin/python" --version) and the requirements as they are now"
    elif [ -e "$VENV" ]; then
        row venv old '.venv was made from another Python or other requirements, or was not finished' 'make setup'
    else
        row venv missing 'there is no .venv' 'make setup'
    fi
}

# check_program NAME [FIX]
check_program() {
    local path
    if path=$(command -v "$1"); then
        row "$1" ok "$path"
    else
        row "$1" missing 'it is not on PATH' "${2:-nix develop .#$shell, or a package of your system}"
    fi
}
check_socat() { check_program socat 'make setup'; }
check_protoc() { check_program protoc 'building takes none; to look into frames: the package protobuf-compiler'; }
check_direnv() { check_program direnv "your system packages it; or each time: export PATH=\$PWD/bin:\$PATH"; }
check_nix() { check_program nix 'https://nixos.org/download; on Debian, make setup does without'; }

check_variable() {
    if [ -n "${!1:-}" ]; then row "\$$1" ok "${!1}"; else row "\$$1" missing 'it is not set' "nix develop .#$shell, or export $1"; fi
}
