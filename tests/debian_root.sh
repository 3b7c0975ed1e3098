# Bare systems of Debian, and commands in them: for scripts with the arguments 12|13 [FOLDER] that set
# `repository` and source this. FOLDER (default: build/debian) has, or receives, what makes the next run
# quicker: the bare system and its packages. The compiler cache of CCACHE_DIR serves inside, where that
# is set, and ATTUNE_WERROR is passed on.
fail() { echo "${0##*/}: $*" >&2; exit 2; }
case ${1:-} in
  12) codename=bookworm ;;
  13) codename=trixie ;;
  *) sed -n '2,/^set/{/^set/d;s/^# \{0,1\}//;p}' "$0"; exit 2 ;;
esac
release=$1
folder=${2:-$repository/build/debian}
[ "$(id -u)" -eq 0 ] || fail "needs root, for debootstrap and chroot"
for tool in debootstrap unshare git; do
  command -v $tool >/dev/null || fail "$tool is missing: apt-get install debootstrap util-linux git"
done
mkdir -p "$folder/packages-$release/partial"
folder=$(cd "$folder" && pwd)

# make_root ROOT: a bare system there.
make_root() {
  local bare=$folder/bare-$release.tar
  rm -rf --one-file-system "$1"
  if [ ! -e "$bare" ]; then
    local mirror=${DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Origin: Debian' 'Label: Debian' |
      sed -n 1p)}
    [ -n "$mirror" ] || fail "apt knows no Debian mirror: give one, DEBIAN_MIRROR=http://.../debian"
    echo "Debian $release: making the bare system"
    debootstrap --variant=minbase "$codename" "$1" "$mirror" >"$folder/bare-$release.log" 2>&1 ||
      fail "debootstrap failed: $folder/bare-$release.log"
    tar -C "$1" -cf "$bare.new" .
    mv "$bare.new" "$bare"
  else
    mkdir "$1"
    tar -C "$1" -xf "$bare"
  fi
  cp /etc/resolv.conf "$1/etc/resolv.conf"
}

# inside ROOT WHERE COMMAND...: runs it in the root, in the folder WHERE there. Its mounts and processes
# are its own, and end with it.
inside() {
  unshare --mount --propagation private --pid --fork --kill-child bash -euc '
    bind() { [ ! -d "$1" ] || { mkdir -p "$2"; mount --rbind "$1" "$2"; }; }
    packages=$1 root=$2 where=$3
    shift 3
    mount -t proc proc "$root/proc"
    bind /dev "$root/dev"
    bind "$packages" "$root/var/cache/apt/archives"
    bind "${CCACHE_DIR:-}" "$root/root/.cache/ccache"
    exec env -i HOME=/root PATH=/usr/sbin:/usr/bin:/sbin:/bin LANG=C.UTF-8 DEBIAN_FRONTEND=noninteractive \
      CCACHE_BASEDIR=/root CCACHE_NOHASHDIR=1 ${ATTUNE_WERROR:+ATTUNE_WERROR="$ATTUNE_WERROR"} \
      chroot "$root" bash -c "cd \"\$0\" && exec \"\$@\"" "$where" "$@"
  ' bash "$folder/packages-$release" "$@"
}
