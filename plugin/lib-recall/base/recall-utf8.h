#ifndef RECALL_UTF8_H
#define RECALL_UTF8_H

/* How many of the octets do not end within a character of UTF-8. What is
   printed in parts is cut there: JSON replaces what is no UTF-8 a part at a
   time. */
size_t recall_utf8_whole_size(const unsigned char *data, size_t size);

/* The text as one line of UTF-8: what is none of it, and controls, which may be
   a line's end or move a terminal's cursor, become U+FFFD each; of more than
   max_chars characters the last ones become an ellipsis. Of the data stack. */
const char *recall_utf8_line(const char *text, unsigned int max_chars);

bool recall_is_ascii(const char *text);

#endif
