#include "belfry/job-find.h"

#include "base/buf.h"
#include "base/str.h"
#include "belfry/client.h"

#include <string.h>

bool is_number(const char *text)
{
    int64_t number;

    return number_parse(str_of(text), 0, INT64_MAX, &number);
}

void job_name_split(struct cli *cli, const char *text, const char **ret_group,
                    const char **ret_name)
{
    const char *slash = strchr(text, '/');

    *ret_group = slash ? arena_strndup(cli->arena, text, (size_t)(slash - text)) : "default";
    *ret_name = slash ? slash + 1 : text;
}

static int by_name(struct cli *cli, const char *text, const struct json_node **ret_job,
                   struct error *err)
{
    const char *group, *name;
    const struct json_node *items;
    struct client_answer answer;
    struct buf path;
    int result;

    job_name_split(cli, text, &group, &name);
    buf_init(&path, 16384);
    buf_add_text(&path, "/api/v1/jobs");
    query_add(&path, "group", group);
    query_add(&path, "name", name);
    result = client_get(cli, buf_text(&path), &answer, err);
    buf_done(&path);
    if (result < 0)
        return -1;
    items = json_member_find(answer.json, "items");
    if (!items || items->kind != JSON_KIND_ARRAY || !items->first)
        return error_set(err, ERR_NOT_FOUND, "there is no job %s/%s", group, name);
    *ret_job = items->first;
    return 0;
}

int job_look_up(struct cli *cli, const char *text, const struct json_node **ret_job,
                struct error *err)
{
    struct client_answer answer;

    if (!is_number(text))
        return by_name(cli, text, ret_job, err);
    if (client_get(cli, arena_printf(cli->arena, "/api/v1/jobs/%s", text), &answer, err) < 0)
        return -1;
    *ret_job = answer.json;
    return 0;
}

int job_id_find(struct cli *cli, const char *text, const char **ret_id, struct error *err)
{
    const struct json_node *job;

    if (is_number(text)) {
        *ret_id = text;
        return 0;
    }
    if (by_name(cli, text, &job, err) < 0)
        return -1;
    *ret_id = json_member_text(job, "id", cli->arena);
    return 0;
}
