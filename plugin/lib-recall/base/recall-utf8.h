#ifndef RECALL_UTF8_H
#define RECALL_UTF8_H

/* How many of the octets do not end within a character of UTF-8. What is
   printed in parts is cut there: JSON replaces what is no UTF-8 a part at a
   time. */
size_t recall_utf8_whole_size(const unsigned char *data, size_t size);

bool recall_is_ascii(const char *text);

#endif
