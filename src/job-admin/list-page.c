#include "job-admin/api.h"

void list_page_answer(struct request *request, const struct json_table *table, const void *rows,
                      size_t row_size, size_t count, size_t limit, const char *cursor)
{
    size_t shown = count < limit ? count : limit;
    const void **items = ARENA_ARRAY(request->arena, const void *, shown + 1);

    for (size_t i = 0; i < shown; i++)
        items[i] = (const char *)rows + i * row_size;
    request_answer_list(request, table, items, shown, count > limit ? cursor : NULL);
}
