#ifndef FAILPOINT_H
#define FAILPOINT_H

/* Points at which a test can kill the process, to see that nothing is lost
   there. Only builds configured with --enable-failpoints have any: the
   environment variable RECALL_FAILPOINT names the point, "name:2" means the
   second time that it is passed. With RECALL_FAILPOINT_STOP the process is
   stopped there and can be continued; "name:2,4" has it stop twice, and
   "name other:2" at two points. */

#ifdef RECALL_FAILPOINTS
void recall_failpoint(const char *name);
#  define RECALL_FAILPOINT(name) recall_failpoint(name)
#else
#  define RECALL_FAILPOINT(name) do { } while (0)
#endif

#endif
