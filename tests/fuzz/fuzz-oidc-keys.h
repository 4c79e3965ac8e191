#ifndef FUZZ_OIDC_KEYS_H
#define FUZZ_OIDC_KEYS_H

/* Public keys, one of RSA and one of P-256. The private ones were thrown
   away. */
#define FUZZ_OIDC_KEYS \
	"{\"keys\":[{\"kty\":\"RSA\",\"kid\":\"rsa\",\"use\":\"sig\"," \
	"\"alg\":\"RS256\",\"e\":\"AQAB\",\"n\":\"5RY-AsvraKMRQnTXb7D" \
	"MH7lO39SnzxJQ3h7FJpvBZeIzYVjPJPlPE9ktFxkI-PgvcH2w52znEfzxI_m" \
	"p7H-V19Knwiib0VXSK9nW1Xw9461K6zJLrqJv6RpUeykpDlJ6yyU0fhTcT_g" \
	"EStlEPtNuw6qNG_UsvP2QBaZ9mR-5JjElMMrGiFbWIdce9vWZ6VQ72hve8g4" \
	"dJJdOw1btpymiRSI0Kv9wo6wQOCacJxaP_FVDZOwn3VNo5JOUwgppA-VQdGM" \
	"PwOEfgZjzcx3ZbsM4zMbShCxqymEv3A3VDRRr5Xw-oz_JRDmJ5mSj4sW3OJK" \
	"4dVMxVNpWqdZfpkaD99AazQ\"},{\"kty\":\"EC\",\"kid\":\"ec\",\"" \
	"use\":\"sig\",\"alg\":\"ES256\",\"crv\":\"P-256\",\"x\":\"Up" \
	"obBA_Uy7HbLbvQY5G6aeTy2bKsoPARjfOK14teQ-I\",\"y\":\"zJqMgiQx" \
	"GCxRVuJQQ45EwKamnSHoaIEaNAINSNLnvtE\"}]}"

/* A token that the key of P-256 has signed. */
#define FUZZ_OIDC_TOKEN \
	"eyJhbGciOiAiRVMyNTYiLCAia2lkIjogImVjIn0.eyJzdWIiOiAiYSJ9.tWp" \
	"Z28MDJoQ7dTHE6tg9YTg4eaoG7I0IvnCgpSECAOkqjcKsqeUW6UDF5onzOe6" \
	"XYkBzp4AOmwbMiPYV7mt8Mg"

#endif
