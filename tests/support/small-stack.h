/* Included first into each file of the plugins where they are built for tests:
   what begins on the data stack begins with the least size. Dovecot panics as
   soon as that grows in another frame than it was made in, which otherwise
   takes as many elements as there was room for. */
#define _GNU_SOURCE /* before anything of the C library */
#include "config.h"
#include "lib.h"
#include "array.h"
#include "buffer.h"
#include "str.h"

#undef t_array_init
#define t_array_init(array, count) \
	STMT_START { \
		(void)(count); \
		p_array_init(array, pool_datastack_create(), 1); \
	} STMT_END
#define t_str_new(size) \
	((void)(size), str_new(pool_datastack_create(), 1))
#undef t_buffer_create
#define t_buffer_create(size) \
	((void)(size), buffer_create_dynamic(pool_datastack_create(), 1))
