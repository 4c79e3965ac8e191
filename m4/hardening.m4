dnl RECALL_HARDENING: what the compiler and the linker do against exploits.
dnl Sets HARDENING_CPPFLAGS, HARDENING_CFLAGS, HARDENING_LDFLAGS, and for
dnl programs PIE_CFLAGS, PIE_LDFLAGS.
dnl
dnl What CPPFLAGS, CFLAGS or LDFLAGS have already, e.g. those of
dnl dpkg-buildflags, is not given twice.

dnl RECALL_HARDENING_FLAG(VARIABLE, FLAG, [ALREADY], [LINKED])
dnl Adds FLAG to VARIABLE if a program can be made with it, unless a word of
dnl the user's matches the pattern ALREADY. LINKED: FLAG is the linker's.
AC_DEFUN([RECALL_HARDENING_FLAG], [
	AS_CASE([" $CPPFLAGS $CFLAGS $LDFLAGS "], [m4_default([$3], [*" $2 "*])], [], [
		AC_MSG_CHECKING([whether $CC takes $2])
		recall_save_CFLAGS=$CFLAGS
		recall_save_LDFLAGS=$LDFLAGS
		m4_ifval([$4], [LDFLAGS="$LDFLAGS $2"], [CFLAGS="$CFLAGS $2 -Werror"])
		AC_LINK_IFELSE([AC_LANG_PROGRAM([[#include <stdio.h>]],
			[[puts("");]])],
			[recall_flag=yes
			AS_VAR_APPEND([$1], [" $2"])], [recall_flag=no])
		CFLAGS=$recall_save_CFLAGS
		LDFLAGS=$recall_save_LDFLAGS
		AC_MSG_RESULT([$recall_flag])
	])
])

AC_DEFUN([RECALL_HARDENING], [
	AC_ARG_ENABLE([hardening],
		[AS_HELP_STRING([--disable-hardening],
			[leave out flags against exploits])],
		[], [enable_hardening=yes])
	dnl sanitizers have interceptors in place of what glibc fortifies
	AS_IF([test -n "$SANITIZE_CFLAGS"], [enable_hardening=no])
	AS_IF([test "x$enable_hardening" = xyes], [
		dnl older ones have no 3, glibc warns without an optimizer
		RECALL_HARDENING_FLAG([HARDENING_CPPFLAGS],
			[-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3],
			[*_FORTIFY_SOURCE=*])
		AS_IF([test -z "$HARDENING_CPPFLAGS"], [
			RECALL_HARDENING_FLAG([HARDENING_CPPFLAGS],
				[-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=2],
				[*_FORTIFY_SOURCE=*])
		])
		RECALL_HARDENING_FLAG([HARDENING_CFLAGS],
			[-fstack-protector-strong])
		RECALL_HARDENING_FLAG([HARDENING_CFLAGS],
			[-fstack-clash-protection])
		AS_CASE([$host_cpu], [x86_64|i?86], [
			RECALL_HARDENING_FLAG([HARDENING_CFLAGS],
				[-fcf-protection])
		], [aarch64*], [
			RECALL_HARDENING_FLAG([HARDENING_CFLAGS],
				[-mbranch-protection=standard])
		])
		RECALL_HARDENING_FLAG([HARDENING_LDFLAGS], [-Wl,-z,relro],
			[], [linked])
		RECALL_HARDENING_FLAG([HARDENING_LDFLAGS], [-Wl,-z,now],
			[], [linked])
		RECALL_HARDENING_FLAG([PIE_CFLAGS], [-fPIE])
		RECALL_HARDENING_FLAG([PIE_LDFLAGS], [-pie], [], [linked])
	])
	AC_SUBST([HARDENING_CPPFLAGS])
	AC_SUBST([HARDENING_CFLAGS])
	AC_SUBST([HARDENING_LDFLAGS])
	AC_SUBST([PIE_CFLAGS])
	AC_SUBST([PIE_LDFLAGS])
])
