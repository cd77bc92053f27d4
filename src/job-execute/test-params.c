#include "job-execute/params.h"

#include "job-execute/params-time.h"
#include "schedule/zone.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <cmocka.h>

static const struct json_pair pairs[] = {
    { (char *)(intptr_t)"NAME", (char *)(intptr_t)"a&b \"c\"\\ \xe4\xb8\xad" },
    { (char *)(intptr_t)"HOST", (char *)(intptr_t)"api.example.com:8443" },
    { (char *)(intptr_t)"BASE", (char *)(intptr_t)"https://api.example.com/v1" },
    { (char *)(intptr_t)"N", (char *)(intptr_t)"42" },
    { (char *)(intptr_t)"NEST", (char *)(intptr_t)"${N}" },
    { (char *)(intptr_t)"LINES", (char *)(intptr_t)"a\r\nb" },
};
enum { PAIR_COUNT = sizeof pairs / sizeof *pairs };

static struct zone *shanghai, *new_york;

/* 2025-11-25T09:30:00.250+08:00 */
static const int64_t fire_at = INT64_C(1764034200250);

static void assert_expands(enum params_context context, const char *text, const char *wanted)
{
    struct params params = { pairs, PAIR_COUNT, 123, fire_at, 2, "team/nightly", shanghai };
    struct arena *arena = arena_new();
    struct error err = { 0 };
    char *result = NULL;
    int rc = params_expand(str_of(text), "body", context, &params, arena, &result, &err);

    if (wanted && rc < 0)
        fail_msg("%s: %s", text, error_english(&err));
    if (wanted && strcmp(result, wanted))
        fail_msg("%s gives %s, not %s", text, result, wanted);
    if (!wanted && rc == 0)
        fail_msg("%s is taken: %s", text, result);
    if (!wanted)
        assert_string_equal(err.path, "body");
    arena_free(&arena);
}

static void test_params_values(void **state)
{
    static const struct {
        const char *text, *wanted;
    } rows[] = {
        { "", "" },
        { "plain $HOME {x} $", "plain $HOME {x} $" },
        { "${run_id}/${attempt}/${job}", "123/2/team/nightly" },
        { "<${N}>${N}", "<42>42" },
        { "$${N} costs $$5", "${N} costs $$5" },
        { "$$${N}", "$${N}" },
        { "${NEST}", "${N}" }, /* values are not looked at again */
        { "${fire_time}", "2025-11-25T09:30:00.250+08:00" },
        { "${fire_date}", "2025-11-25" },
        { "${fire_date-1d}", "2025-11-24" },
        { "${fire_date+1w}", "2025-12-02" },
        { "${fire_date-9M}", "2025-02-25" },
        { "${fire_date+2h:yyyyMMdd}", "20251125" },
        { "${fire_date-10h:yyyyMMdd}", "20251124" },
        { "${fire_time:yyyy-MM-dd HH:mm:ss}", "2025-11-25 09:30:00" },
        { "${fire_time-1d+30m:yy/M/d H:m:s.SSS}", "25/11/24 10:0:0.250" },
        { "${fire_time:'day '''d'}'}", "day '25}" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_expands(PARAMS_TEXT, rows[i].text, rows[i].wanted);
}

static void test_params_contexts(void **state)
{
    static const struct {
        enum params_context context;
        const char *text, *wanted;
    } rows[] = {
        { PARAMS_URL, "http://h/${NAME}?q=${NAME}", "http://h/a%26b%20%22c%22%5C%20%E4%B8%AD?q=a%26b%20%22c%22%5C%20%E4%B8%AD" },
        { PARAMS_URL, "http://${HOST}/x?at=${fire_time}", "http://api.example.com:8443/x?at=2025-11-25T09%3A30%3A00.250%2B08%3A00" },
        { PARAMS_URL, "${BASE}/x/${N}", "https://api.example.com/v1/x/42" },
        { PARAMS_URL, "http://${BASE}/", NULL },   /* no slash in a host */
        { PARAMS_URL, "http://${NAME}/", NULL },
        { PARAMS_URL, "${NAME}/", NULL },
        { PARAMS_FORM, "a=${NAME}&b=${N}", "a=a%26b%20%22c%22%5C%20%E4%B8%AD&b=42" },
        { PARAMS_JSON, "{\"a\":\"<${NAME}>\"}", "{\"a\":\"<a&b \\\"c\\\"\\\\ \xe4\xb8\xad>\"}" },
        { PARAMS_JSON, "{\"a\":${N},\"b\":\"\\\"${N}\"}", "{\"a\":42,\"b\":\"\\\"42\"}" },
        { PARAMS_JSON, "{\"a\":${NAME}}", NULL },  /* would break out */
        { PARAMS_JSON, "{\"a\":\"${LINES}\"}", "{\"a\":\"a\\r\\nb\"}" },
        { PARAMS_LINE, "x ${NAME}", "x a&b \"c\"\\ \xe4\xb8\xad" },
        { PARAMS_LINE, "x ${LINES}", NULL },
        { PARAMS_TEXT, "${MISSING}", NULL },
        { PARAMS_TEXT, "${fire_date-99999M}", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        assert_expands(rows[i].context, rows[i].text, rows[i].wanted);
}

static void test_params_check_names_the_place(void **state)
{
    static const struct {
        const char *text;
        int position;         /* 0: good */
    } rows[] = {
        { "${N} ${fire_date-1d:yyyy} $${x}", 0 },
        { "${UNKNOWN}", 1 },
        { "\xe4\xb8\xad\xe6\x96\x87 ${N}${UNKNOWN}", 8 },
        { "a ${N", 3 },
        { "${}", 1 },
        { "${N-1d}", 1 },
        { "${9N}", 1 },
        { "${N N}", 1 },
        { "${fire_date-}", 1 },
        { "${fire_date-1}", 1 },
        { "${fire_date-1y}", 1 },
        { "${fire_date+1d+1d+1d+1d+1d}", 1 },
        { "${fire_date-100001d}", 1 },
        { "${fire_date:}", 1 },
        { "${fire_date:YYYY}", 1 },
        { "${fire_date:yyy}", 1 },
        { "${fire_date:'open}", 1 },
        { "${fire_date:ddd}", 1 },
        { "${fire_timeX}", 1 },
    };
    const struct params_names names = { pairs, PAIR_COUNT };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        struct error err = { 0 };
        int rc = params_check(str_of(rows[i].text), "headers[2].value", &names, &err);

        if ((rc == 0) != (rows[i].position == 0) || err.position != rows[i].position)
            fail_msg("%s: %d at %d: %s", rows[i].text, rc, err.position, error_english(&err));
        if (rc < 0)
            assert_string_equal(err.path, "headers[2].value");
    }
}

static void test_params_is_json(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    assert_true(params_is_json(STR("{\"a\":\"${N}\",\"b\":[${N}]}"), arena));
    assert_true(params_is_json(STR("${N}"), arena));
    assert_false(params_is_json(STR("a=${N}"), arena));
    assert_false(params_is_json(STR("{\"a\":}"), arena));
    arena_free(&arena);
}

/* Days, weeks and months follow the wall, hours the instant. */
static void test_params_shift_over_dst(void **state)
{
    static const struct {
        int64_t from_s;
        struct time_shift shift;
        int64_t to_s;
    } rows[] = {
        { 1741435200, { 1, 'd' }, 1741518000 },   /* Mar 8 07:00 EST: Mar 9 07:00 EDT, 23 h later */
        { 1741435200, { 24, 'h' }, 1741521600 },
        { 1738321200, { 1, 'M' }, 1740740400 },   /* Jan 31 06:00: Feb 28 06:00 */
    };

    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int64_t to;

        assert_true(time_shift(new_york, rows[i].from_s * 1000, &rows[i].shift, 1, &to));
        assert_int_equal(to, rows[i].to_s * 1000);
    }
}

static void test_params_shift_into_gap(void **state)
{
    struct time_shift shift = { 1, 'd' };
    int64_t to;

    (void)state;
    /* 2025-03-08 02:30 EST + 1 d = 03:30 EDT */
    assert_true(time_shift(new_york, INT64_C(1741419000000), &shift, 1, &to));
    assert_int_equal(to, INT64_C(1741505400000));
}

static int load_zones(void **state)
{
    (void)state;
    return zone_load("Asia/Shanghai", &shanghai, NULL) + zone_load("America/New_York", &new_york, NULL);
}

static int unload_zones(void **state)
{
    (void)state;
    zone_unref(&shanghai);
    zone_unref(&new_york);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_params_values),
        cmocka_unit_test(test_params_contexts),
        cmocka_unit_test(test_params_check_names_the_place),
        cmocka_unit_test(test_params_is_json),
        cmocka_unit_test(test_params_shift_over_dst),
        cmocka_unit_test(test_params_shift_into_gap),
    };

    return cmocka_run_group_tests(tests, load_zones, unload_zones);
}
