#ifndef BELFRY_JOB_EXECUTE_TEST_HTTP_PEER_H
#define BELFRY_JOB_EXECUTE_TEST_HTTP_PEER_H

#include <stddef.h>

/*
 * A far end that misbehaves as its path says, a thread for each connection. What it was asked last
 * can be looked at.
 */
int peer_start(void);                                 /* its port */
void peer_stop(void);
/* Head and body of the last request, NUL-terminated. */
void peer_last(char *text, size_t size);
int peer_count(void);

#endif
