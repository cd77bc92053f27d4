#ifndef BELFRY_BASE_LIST_H
#define BELFRY_BASE_LIST_H

#include <stdbool.h>
#include <stddef.h>

/* Intrusive doubly linked ring: the head is a struct list of its own. */
struct list {
    struct list *next, *prev;
};

#define CONTAINER_OF(pointer, type, member) \
    ((type *)(void *)((char *)(pointer) - offsetof(type, member)))

static inline void list_init(struct list *list)
{
    list->next = list->prev = list;
}

static inline bool list_empty(const struct list *list)
{
    return list->next == list;
}

static inline void list_add_tail(struct list *head, struct list *node)
{
    node->prev = head->prev;
    node->next = head;
    head->prev->next = node;
    head->prev = node;
}

/* Leaves node empty, so that removing twice is harmless. */
static inline void list_remove(struct list *node)
{
    node->prev->next = node->next;
    node->next->prev = node->prev;
    list_init(node);
}

#define LIST_EACH(head, node) \
    for (struct list *node = (head)->next; node != (head); node = node->next)
/* The node of the round may be removed. */
#define LIST_EACH_SAFE(head, node)                                              \
    for (struct list *node = (head)->next, *node##_next = node->next; node != (head); \
         node = node##_next, node##_next = node->next)

#endif
