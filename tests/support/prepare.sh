# Sourced by ./check and ./quickstart: what both need of a fresh Debian 12
# or 13.

build_packages="autoconf automake libtool pkg-config gcc libc6-dev make
	dovecot-core dovecot-dev dovecot-imapd dovecot-lmtpd
	libmicrohttpd-dev libgnutls28-dev libjansson-dev libcurl4-openssl-dev libssl-dev
	libidn2-dev libsqlite3-dev libinih-dev libarchive-dev curl mount python3"
test_packages="ca-certificates libcunit1-dev python3-pytest cppcheck etcd-server etcd-client
	groff man-db openssl procps prometheus python3-seccomp strace systemd
	python3-selenium python3-jsonschema python3-yaml libopenapi-client-perl openapi-specification"
# most of what there is to install
browser_packages="chromium chromium-driver"
# Debian 13 has none
! grep -qs '^VERSION_CODENAME=bookworm' /etc/os-release ||
	test_packages="$test_packages clang-tidy dovecot-fts-xapian"
# a system has one mail server only: another one would be removed for it
dpkg-query -W -f '${Status} ${Package} ${Provides}\n' 2>/dev/null |
	grep ' installed .*mail-transport-agent' |
	grep -qv ' installed postfix ' ||
	test_packages="$test_packages postfix"

# Installs those of the packages that are missing. No daemon is started.
install_packages() {
	local missing=() package sudo= policy=/usr/sbin/policy-rc.d ours=

	for package; do
		case $(dpkg-query -W -f '${Status}' "$package" 2>/dev/null) in
		*' installed') ;;
		*) missing+=("$package") ;;
		esac
	done
	[ ${#missing[@]} -eq 0 ] && return 0
	if [ "$(id -u)" -ne 0 ]; then
		if ! sudo -n true 2>/dev/null; then
			echo "Missing packages; as root:" >&2
			echo "  apt-get install ${missing[*]}" >&2
			return 1
		fi
		sudo=sudo
	fi

	echo "Installing ${missing[*]}"
	if [ ! -e $policy ]; then
		ours=yes
		printf '#!/bin/sh\nexit 101\n' | $sudo tee $policy >/dev/null
		$sudo chmod 755 $policy
	fi
	# tests run a Postfix with a configuration of their own
	case " ${missing[*]} " in
	*' postfix '*)
		echo 'postfix postfix/main_mailer_type select No configuration' |
			$sudo debconf-set-selections
		;;
	esac
	$sudo apt-get -qq update &&
		$sudo env DEBIAN_FRONTEND=noninteractive apt-get -qq -y \
			--no-install-recommends install "${missing[@]}" \
			>/dev/null
	local status=$?
	[ -z "$ours" ] || $sudo rm -f $policy
	return $status
}

# Configures and builds the tree in a directory of its own, or those $parts of it.
# libtool is a long script: bash, which configure prefers, takes twice as long for
# it as /bin/sh does.
# build DIRECTORY [CONFIGURE-OPTION ...]
build() {
	local dir=$1 part

	shift
	mkdir -p "$dir" &&
		{ [ -x configure ] || autoreconf -fi; } >"$dir/build.log" 2>&1 &&
		(cd "$dir" && CONFIG_SHELL=/bin/sh "$source_dir/configure" -q "$@" &&
			for part in ${parts-.}; do
				make -s -j"$(nproc)" -C "$part" || exit
			done) >>"$dir/build.log" 2>&1 || {
		tail -n 40 "$dir/build.log" >&2
		echo "The build failed; all of it is in $dir/build.log" >&2
		return 1
	}
}
