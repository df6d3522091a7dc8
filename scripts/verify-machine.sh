# shellcheck shell=bash
# What scripts/verify-workspace looks at beside the tools, a function each: what was built, and the machine.
# shellcheck disable=SC2154 # `row` and `bounded` are verify-workspace's

# Measured for the dev profile, 4.8, and rounded up.
BUILD_GIB=5

sources() {
    case $1 in
        ipc) echo ipc/src ipc/proto Cargo.lock ;;
        rust-inference) echo ipc/src ipc/proto rust-inference/src models/default Cargo.lock ;;
        python-executor) echo ipc/src ipc/proto python-executor/src python-executor/policy Cargo.lock ;;
        callspan) echo haskell-orchestrator/app haskell-orchestrator/src haskell-orchestrator/callspan.cabal ;;
    esac
}

check_programs() {
    local program newer files missing=() old=()
    for program in ipc rust-inference python-executor callspan; do
        read -ra files <<<"$(sources "$program")"
        if [ ! -x "$ROOT/bin/$program" ]; then
            missing+=("$program")
        else
            newer=$(cd "$ROOT" && find "${files[@]}" -type f -newer "bin/$program" -print -quit)
            [ -z "$newer" ] || old+=("$program is older than $newer")
        fi
    done
    if [ ${#missing[@]} -gt 0 ]; then
        row programs missing "not in bin/: ${missing[*]}" 'make build'
    elif [ ${#old[@]} -gt 0 ]; then
        row programs old "$(printf '%s; ' "${old[@]}" | sed 's/; $//')" 'make build'
    else
        row programs ok 'all four are in bin/, and newer than what they are built from'
    fi
}

check_sandbox() {
    local doctor=$ROOT/bin/python-executor said level='' status=0
    if [ ! -x "$doctor" ]; then
        row sandbox unknown 'only bin/python-executor can tell, and it is not there' 'make build'
        return
    fi
    said=$(bounded "$doctor" doctor --json 2>&1) || status=$?
    [[ $said =~ \"level\":\"([a-z-]+)\" ]] && level=${BASH_REMATCH[1]}
    case $level in
        full)
            # Its status says more: that a mechanism is in force is not yet that it holds.
            if [ "$status" = 0 ]; then
                row sandbox ok 'full: namespaces, Landlock, seccomp and limits'
            else
                row sandbox broken 'a mechanism is in force and does not hold' 'bin/python-executor doctor says which; trust no tool'
            fi
            ;;
        '') row sandbox broken "no tool can be run: ${said%%$'\n'*}" 'bin/python-executor doctor' ;;
        *) row sandbox "$level" "tools run, with less around them: $level" 'bin/python-executor doctor says what is missing and its cure' ;;
    esac
}

# What PyTorch and mistralrs-cuda load from the driver: the first that is found.
libcuda() {
    local dir dirs ldconfig
    IFS=: read -ra dirs <<<"${LD_LIBRARY_PATH:-}:/run/opengl-driver/lib:/usr/lib/wsl/lib"
    for dir in "${dirs[@]}"; do
        if [ -n "$dir" ] && [ -e "$dir/libcuda.so.1" ]; then echo "$dir/libcuda.so.1" && return; fi
    done
    ldconfig=$(PATH=$PATH:/sbin:/usr/sbin command -v ldconfig) && "$ldconfig" -p 2>/dev/null | sed -n 's|.*libcuda\.so\.1 .*=> ||p' | head -n 1
}

check_cuda() {
    local said device='' library
    library=$(libcuda)
    # When it fails, it says so on standard output.
    if have nvidia-smi && said=$(bounded nvidia-smi --query-gpu=name,driver_version --format=csv,noheader 2>/dev/null); then
        device=${said%%$'\n'*}
    fi
    if [ -n "$device" ] && [ -n "$library" ]; then
        row cuda ok "$device; $library"
    elif [ -n "$device" ]; then
        row cuda missing "$device, but no libcuda.so.1" 'put its directory on LD_LIBRARY_PATH (WSL2: /usr/lib/wsl/lib)'
    elif compgen -G '/dev/nvidia[0-9]*' >/dev/null || [ -e /dev/dxg ]; then
        row cuda missing 'a GPU is in /dev, but nvidia-smi does not tell of it' "install NVIDIA's driver; on WSL2, add /usr/lib/wsl/lib to PATH"
    else
        row cuda missing 'no NVIDIA GPU is to be seen' 'an NVIDIA GPU and its driver; only mistralrs-cuda and fine-tuning at scale take one'
    fi
}

check_metal() {
    local said
    if [ "$(uname -s)" != Darwin ]; then
        row metal missing 'this is not macOS' 'a Mac; only mistralrs-metal takes it'
    elif said=$(bounded system_profiler SPDisplaysDataType 2>/dev/null) && [[ $said =~ (Metal[^$'\n']*) ]]; then
        row metal ok "${BASH_REMATCH[1]}"
    else
        row metal missing 'system_profiler tells of no display that has Metal' 'a newer Mac; only mistralrs-metal takes it'
    fi
}

# Where rust-inference and all of Hugging Face's libraries look.
check_hf-cache() {
    local home=${HF_HOME:-${XDG_CACHE_HOME:-$HOME/.cache}/huggingface} dir models
    dir=${HF_HUB_CACHE:-${HUGGINGFACE_HUB_CACHE:-$home/hub}}
    if [ ! -d "$dir" ]; then
        row hf-cache missing "$dir is not there" 'the first download makes it: rust-inference --model google/functiongemma-270m-it'
    elif [ ! -w "$dir" ]; then
        row hf-cache readonly "$dir cannot be written, so no model can be downloaded" 'set HF_HUB_CACHE to a directory of yours'
    else
        mapfile -t models < <(compgen -G "$dir/models--*")
        row hf-cache ok "$dir, with ${#models[@]} models"
    fi
}

check_disk() {
    local free at=$TARGET
    until [ -d "$at" ]; do at=$(dirname "$at"); done
    free=$(df -Pk "$at" | awk 'NR == 2 { print int($4 / 1048576) }')
    if [ "$free" -ge "$BUILD_GIB" ]; then
        row disk ok "$free GiB are free; make build takes $BUILD_GIB"
    else
        row disk full "$free GiB are free; make build takes $BUILD_GIB" 'make clean, or elsewhere: export CARGO_TARGET_DIR=…'
    fi
}
