#ifndef DOVECOT_COMPAT_H
#define DOVECOT_COMPAT_H

/* What differs between the Dovecot versions we build for stays here. */

#endif
