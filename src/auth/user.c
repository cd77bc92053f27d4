#include "auth/user.h"

#include "base/str.h"

static bool is_alphanumeric(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

int user_name_check(const char *name, struct error *err)
{
    struct str text = str_of(name);
    bool good = text.size >= 2 && text.size <= USER_NAME_MAX && is_alphanumeric(text.bytes[0]);

    for (size_t i = 0; good && i < text.size; i++)
        good = is_alphanumeric(text.bytes[i]) || strchr("._-@", text.bytes[i]);
    if (good)
        return 0;
    return error_set_at(err, ERR_INVALID, "name",
                        "must be 2 to %d small letters, digits and . _ - @, beginning with a letter "
                        "or digit", USER_NAME_MAX);
}

int user_administrator_left(struct db_tx *tx, struct arena *arena, struct error *err)
{
    int64_t count;

    if (store_administrators_count(tx, arena, &count, err) < 0)
        return -1;
    if (count > 0)
        return 0;
    return error_set(err, ERR_CONFLICT,
                     "the last administrator cannot be removed, disabled or given less");
}
