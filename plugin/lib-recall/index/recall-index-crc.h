#ifndef RECALL_INDEX_CRC_H
#define RECALL_INDEX_CRC_H

/* The same as Dovecot's crc32_data_more(), but eight octets at a time: the
   checksums of an index are looked at for each user. */
uint32_t recall_index_crc(uint32_t crc, const void *data, size_t size);

#endif
