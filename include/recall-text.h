#ifndef RECALL_TEXT_H
#define RECALL_TEXT_H

#include <stdbool.h>

/* Whether there is a control character of ASCII in it, a line end among
   them. */
bool recall_text_has_control(const char *text);

#endif
