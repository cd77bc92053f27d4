# Shared by ./run, ./test and .ci/run; sourced from the top of the tree with `set -euo pipefail` on.

# Debian's own tools only: no Python, Node or compiler that somebody put before them.
export PATH=/usr/sbin:/usr/bin:/sbin:/bin
unset CC CFLAGS CPPFLAGS LDFLAGS LD_LIBRARY_PATH LD_PRELOAD PYTHONPATH PYTHONHOME VIRTUAL_ENV \
    PKG_CONFIG_PATH NODE_PATH NODE_OPTIONS
# What runs on this machine is reached directly, whatever proxy the rest goes through.
export no_proxy="127.0.0.1,localhost,::1${no_proxy:+,$no_proxy}" NO_PROXY="127.0.0.1,localhost,::1"

say() { printf '%s\n' "$*" >&2; }

# Names of the sections of packages.txt: installs what dpkg does not have yet.
install_packages() {
    local section name installed missing=() sudo=()
    installed=$(dpkg-query -W -f '${db:Status-Status} ${Package}\n')
    for section in "$@"; do
        while read -r name; do
            grep -qx "installed $name" <<<"$installed" || missing+=("$name")
        done < <(awk -v want="[$section]" '/^\[/ { on = $0 == want; next } on && /^[a-z]/' packages.txt)
    done
    [ ${#missing[@]} -gt 0 ] || return 0
    say "installing: ${missing[*]}"
    if [ "$(id -u)" != 0 ]; then
        command -v sudo >/dev/null ||
            { say "these packages are missing, and there is neither root nor sudo to install them"; exit 1; }
        sudo=(sudo)
    fi
    "${sudo[@]}" apt-get update -q >&2
    "${sudo[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get install -q -y --no-install-recommends "${missing[@]}" >&2
}

# build FOLDER MESON-OPTION…: sets the folder up once, then compiles what has changed; with
# `targets` set only those.
build() {
    local folder=$1
    shift
    if [ ! -f "$folder/build.ninja" ]; then
        meson setup "$folder" "$@" >"$folder.log" 2>&1 || { cat "$folder.log" >&2; return 1; }
        rm -f "$folder.log"
    fi
    # shellcheck disable=SC2086
    ninja -C "$folder" --quiet ${targets-} >&2
}
