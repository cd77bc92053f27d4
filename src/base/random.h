#ifndef BELFRY_BASE_RANDOM_H
#define BELFRY_BASE_RANDOM_H

#include <stddef.h>
#include <stdint.h>

/* Fills bytes from getrandom(2); aborts when the kernel has none to give. */
void random_bytes(void *bytes, size_t size);
uint64_t random_u64(void);
/* 32 hex digits (128 bits) and NUL: incarnations, tokens that are no secrets. */
char *random_hex(char text[33]);

#endif
