dnl RECALL_DOVECOT: finds Dovecot through its dovecot-config.
dnl Sets LIBDOVECOT_CFLAGS, dovecot_moduledir (where modules are installed),
dnl dovecot_statedir (where Dovecot keeps its state), dovecot_pkglibexecdir and
dnl dovecot_modules_installed (where Dovecot's own modules are).
AC_DEFUN([RECALL_DOVECOT], [
	AC_MSG_CHECKING([for dovecot-config])
	dovecot_config=
	AS_CASE([$with_dovecot],
		[yes], [dirs="/usr/local/lib/dovecot /usr/lib/dovecot /usr/lib64/dovecot /usr/lib/$host/dovecot"],
		[dirs="$with_dovecot $with_dovecot/lib/dovecot"])
	for dir in $dirs; do
		AS_IF([test -z "$dovecot_config" && test -f "$dir/dovecot-config"],
			[dovecot_config=$dir/dovecot-config])
	done
	AS_IF([test -z "$dovecot_config"],
		[AC_MSG_ERROR([not found in $dirs: install dovecot-dev or use --with-dovecot=DIR])])
	AC_MSG_RESULT([$dovecot_config])

	recall_dovecot_var() {
		(. "$dovecot_config" >/dev/null 2>&1; eval "printf %s \"\$[]$[]1\"")
	}
	LIBDOVECOT_CFLAGS=`recall_dovecot_var LIBDOVECOT_INCLUDE`
	dovecot_modules_installed=`recall_dovecot_var dovecot_moduledir`
	dovecot_pkglibdir=`recall_dovecot_var dovecot_pkglibdir`
	dovecot_pkglibexecdir=`recall_dovecot_var dovecot_pkglibexecdir`
	dovecot_statedir=`recall_dovecot_var dovecot_statedir`
	LIBDOVECOT_LIBS=`recall_dovecot_var LIBDOVECOT`
	AS_IF([test -n "$with_moduledir"],
		[dovecot_moduledir=$with_moduledir],
		[dovecot_moduledir=$dovecot_modules_installed])
	AC_SUBST([LIBDOVECOT_CFLAGS])
	AC_SUBST([LIBDOVECOT_LIBS])
	AC_SUBST([dovecot_moduledir])
	AC_SUBST([dovecot_statedir])
	AC_SUBST([dovecot_modules_installed])
	AC_SUBST([dovecot_pkglibdir])
	AC_SUBST([dovecot_pkglibexecdir])

	AC_CACHE_CHECK([which Dovecot this is], [recall_cv_dovecot_abi], [
		recall_cv_dovecot_abi=
		for opt in $LIBDOVECOT_CFLAGS; do
			dir=`echo "$opt" | sed -n 's/^-I//p'`
			AS_IF([test -n "$dir" && test -f "$dir/config.h"], [
				recall_cv_dovecot_abi=`sed -n 's/^#define DOVECOT_ABI_VERSION "\(.*\)"/\1/p' "$dir/config.h"`
			])
		done
	])
	AS_IF([test -z "$recall_cv_dovecot_abi"], [AC_MSG_ERROR([no Dovecot headers found])])
	AM_CONDITIONAL([DOVECOT_24], [case $recall_cv_dovecot_abi in 2.3*) false;; *) true;; esac])
])
