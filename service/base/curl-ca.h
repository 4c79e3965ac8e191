#ifndef CURL_CA_H
#define CURL_CA_H

#include <curl/curl.h>

/* Has the handle believe the CAs of the file and no others, or those of the
   system if there is no file (""). The file is read at each new connection. */
void curl_set_ca(CURL *curl, const char *path);

#endif
