#include "lib.h"
#include "recall-index-crc.h"

#define POLYNOMIAL 0xedb88320U

/* tables[n][i] is the CRC of the octet i with n zeros after it */
static uint32_t tables[8][256];

static void tables_init(void)
{
	uint32_t crc;
	unsigned int i, n;

	for (i = 0; i < 256; i++) {
		crc = i;
		for (n = 0; n < 8; n++)
			crc = (crc >> 1) ^ ((crc & 1) != 0 ? POLYNOMIAL : 0);
		tables[0][i] = crc;
	}
	for (n = 1; n < 8; n++) {
		for (i = 0; i < 256; i++) {
			crc = tables[n - 1][i];
			tables[n][i] = (crc >> 8) ^ tables[0][crc & 0xff];
		}
	}
}

uint32_t recall_index_crc(uint32_t crc, const void *data, size_t size)
{
	const unsigned char *p = data;

	if (tables[0][1] == 0)
		tables_init();
	crc = ~crc;
	for (; size >= 8; size -= 8, p += 8) {
		crc = tables[7][p[0] ^ (crc & 0xff)] ^
			tables[6][p[1] ^ ((crc >> 8) & 0xff)] ^
			tables[5][p[2] ^ ((crc >> 16) & 0xff)] ^
			tables[4][p[3] ^ (crc >> 24)] ^
			tables[3][p[4]] ^ tables[2][p[5]] ^
			tables[1][p[6]] ^ tables[0][p[7]];
	}
	for (; size > 0; size--)
		crc = (crc >> 8) ^ tables[0][(crc ^ *p++) & 0xff];
	return ~crc;
}
