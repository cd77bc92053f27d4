#include "auth/group-names.h"

#include "job-admin/client.h"

#include <stdio.h>

static const struct json_member role_grant_members[] = {
    { .name = "group", .type = JSON_TEXT, .offset = offsetof(struct role_grant, group),
      .flags = JSON_REQUIRED | JSON_NOT_BLANK | JSON_ONE_LINE, .max = 64,
      .about = "Name of a group, or * for all." },
    { .name = "role", .type = JSON_ENUM, .offset = offsetof(struct role_grant, role),
      .flags = JSON_REQUIRED, .names = role_names,
      .about = "viewer, operator, developer or administrator." },
    { 0 },
};
const struct json_table role_grant_table = { "RoleGrant", sizeof(struct role_grant),
                                             role_grant_members };

struct question {
    struct admin_group_find find; /* empty: all groups */
    struct work *work;
    void (*next)(struct work *work);
};

static void on_names(void *ctx, const void *answer, bool sent, const struct error *err)
{
    struct question *question = ctx;
    struct work *work = question->work;
    const struct admin_groups *groups = answer;

    (void)sent;
    if (err) {
        work->groups_error = arena_copy(work->arena, err, sizeof *err);
        question->next(work);
        return;
    }
    work->groups = ARENA_ARRAY(work->arena, struct admin_group_found, groups->group_count + 1);
    work->group_count = groups->group_count;
    for (size_t i = 0; i < groups->group_count; i++) {
        work->groups[i].id = groups->groups[i].id;
        work->groups[i].name = arena_strdup(work->arena, groups->groups[i].name);
    }
    question->next(work);
}

void work_group_names(struct work *work, void (*next)(struct work *work))
{
    struct question *question = ARENA_NEW(work->arena, struct question);

    question->work = work;
    question->next = next;
    call_send(work->auth->node, &admin_groups_call, NULL, &question->find, on_names, question);
}

static int32_t group_id(const struct work *work, const char *name)
{
    if (strcmp(name, "*") == 0)
        return 0;
    for (size_t i = 0; i < work->group_count; i++)
        if (strcmp(work->groups[i].name, name) == 0)
            return work->groups[i].id;
    return -1;
}

static const char *group_name(const struct work *work, int32_t id)
{
    if (id == 0)
        return "*";
    for (size_t i = 0; i < work->group_count; i++)
        if (work->groups[i].id == id)
            return work->groups[i].name;
    return arena_printf(work->arena, "#%d", id);
}

static int grant_read(const struct work *work, const struct role_grant *in, size_t index,
                      struct grant *grants, struct error *err)
{
    char path[64];
    int32_t id = group_id(work, in->group);

    snprintf(path, sizeof path, "grants[%zu].group", index);
    if (id < 0 && work->groups_error) {
        *err = *work->groups_error;
        return -1;
    }
    if (id < 0)
        return error_set_at(err, ERR_INVALID, path, "there is no group \"%s\"", in->group);
    for (size_t i = 0; i < index; i++)
        if (grants[i].group_id == id)
            return error_set_at(err, ERR_INVALID, path, "the group stands there twice");
    snprintf(path, sizeof path, "grants[%zu].role", index);
    if (in->role == ROLE_NONE)
        return error_set_at(err, ERR_INVALID, path,
                            "must be one of: viewer, operator, developer, administrator");
    grants[index] = (struct grant){ .group_id = id, .role = in->role };
    return 0;
}

int role_grants_read(const struct work *work, const struct role_grant *in, size_t count,
                     struct grant **ret_grants, struct error *err)
{
    struct grant *grants = ARENA_ARRAY(work->arena, struct grant, count + 1);

    for (size_t i = 0; i < count; i++)
        if (grant_read(work, &in[i], i, grants, err) < 0)
            return -1;
    *ret_grants = grants;
    return 0;
}

struct role_grant *role_grants_make(const struct work *work, const struct grant *grants,
                                    size_t count)
{
    struct role_grant *out = ARENA_ARRAY(work->arena, struct role_grant, count + 1);

    for (size_t i = 0; i < count; i++) {
        out[i].group = arena_strdup(work->arena, group_name(work, grants[i].group_id));
        out[i].role = grants[i].role;
    }
    return out;
}

const char *role_grants_text(const struct work *work, const struct grant *grants, size_t count)
{
    struct buf text;
    const char *copy;

    buf_init(&text, 16 * 1024);
    for (size_t i = 0; i < count; i++)
        buf_printf(&text, "%s%s of %s", i ? ", " : "", role_names[grants[i].role],
                   group_name(work, grants[i].group_id));
    copy = arena_strdup(work->arena, buf_text(&text));
    buf_done(&text);
    return copy;
}
