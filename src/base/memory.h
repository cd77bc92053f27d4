#ifndef BELFRY_BASE_MEMORY_H
#define BELFRY_BASE_MEMORY_H

#include <stddef.h>

/* Heap allocation that does not fail: aborts with one log line when the system has no memory. */
void *memory_alloc(size_t size);                       /* zeroed */
void *memory_resize(void *old, size_t size);           /* new bytes are not zeroed */
char *memory_strdup(const char *text);                 /* NULL gives NULL */
char *memory_strndup(const char *text, size_t size);

/* CLEANUP(job_free) struct job *job = NULL;  TAKE(job) hands it over. */
#define CLEANUP(function) __attribute__((cleanup(function)))
#define TAKE(pointer) \
    __extension__({ __typeof__(pointer) take_ = (pointer); (pointer) = NULL; take_; })

void memory_free_text(char **text); /* free and NULL, fit for CLEANUP */

#endif
