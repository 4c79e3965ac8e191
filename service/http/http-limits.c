#include "http-limits.h"

const char http_no_memory[] = "There is no memory for the request now";
