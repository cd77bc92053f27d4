#include "schedule/schedule.h"

#include "base/memory.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct refusal {
    enum cron_dialect dialect;
    const char *expression;
    int field, position;
    const char *part; /* of the English text */
};

/* What Quartz reads by halves, and what the other dialects refuse. */
static const struct refusal refusals[] = {
    { CRON_QUARTZ, "0 99 * * * ?", 2, 3, "\"99\" is out of 0-59" },
    { CRON_QUARTZ, "0 */0 * * * ?", 2, 5, "step of 0" },
    { CRON_QUARTZ, "0 0/0 * * * ?", 2, 5, "step of 0" },
    { CRON_QUARTZ, "0 */-5 * * * ?", 2, 5, "\"-5\"" },
    { CRON_QUARTZ, "0 */60 * * * ?", 2, 5, "more than 59" },
    { CRON_QUARTZ, "0 0 0/24 * * ?", 3, 7, "more than 23" },
    { CRON_QUARTZ, "0 0 0 */32 * ?", 4, 9, "more than 31" },
    { CRON_QUARTZ, "0 0 0 1 */13 ?", 5, 11, "more than 12" },
    { CRON_QUARTZ, "0 0 0 ? * 1/8", 6, 13, "more than 7" },
    { CRON_QUARTZ, "0 0 12 1-5W * ?", 4, 11, "\"W\"" },
    { CRON_QUARTZ, "0 0 12 *W * ?", 4, 9, "\"W\"" },
    { CRON_QUARTZ, "0 0 12 15WW * ?", 4, 11, "\"W\"" },
    { CRON_QUARTZ, "0 0 12 15w5 * ?", 4, 11, "\"5\"" },
    { CRON_QUARTZ, "0 0 12 1W/2 * ?", 4, 10, "\"/2\"" },
    { CRON_QUARTZ, "0 0 12 0W * ?", 4, 8, "\"0W\" is out of 1-31" },
    { CRON_QUARTZ, "0 0 12 32W * ?", 4, 8, "\"32W\" is out of 1-31" },
    { CRON_QUARTZ, "0 0 12 L-31 * ?", 4, 10, "0-30" },
    { CRON_QUARTZ, "0 0 12 LW-3 * ?", 4, 10, "\"-3\"" },
    { CRON_QUARTZ, "0 0 12 LL * ?", 4, 9, "\"L\"" },
    { CRON_QUARTZ, "0 0 12 ? * 1-5L", 6, 13, "\"-5L\"" },
    { CRON_QUARTZ, "0 0 12 ? * *L", 6, 13, "\"L\"" },
    { CRON_QUARTZ, "0 0 12 ? * L-3", 6, 12, "weekday \"L\"" },
    { CRON_QUARTZ, "0 0 12 ? * LW", 6, 12, "\"LW\"" },
    { CRON_QUARTZ, "0 0 12 ? * *#1", 6, 13, "\"#1\"" },
    { CRON_QUARTZ, "0 0 12 ? * 1-5#1", 6, 13, "\"-5#1\"" },
    { CRON_QUARTZ, "0 0 12 ? * 0#1", 6, 12, "out of 1-7" },
    { CRON_QUARTZ, "0 0 12 ? * 8#1", 6, 12, "out of 1-7" },
    { CRON_QUARTZ, "0 0 12 ? * 2#6", 6, 14, "#1 to #5" },
    { CRON_QUARTZ, "0 0 12 ? * 2#1,3", 6, 12, "list" },
    { CRON_QUARTZ, "0 0 12 ? * 6L,2", 6, 12, "list" },
    { CRON_QUARTZ, "0 0 12 ? * L,2", 6, 12, "list" },
    { CRON_QUARTZ, "0 0 12 ? * 0", 6, 12, "1 is Sunday" },
    { CRON_QUARTZ, "0 0 12 ? * 8", 6, 12, "1 is Sunday" },
    { CRON_QUARTZ, "0 0 12 1-5-9 * ?", 4, 11, "\"-9\"" },
    { CRON_QUARTZ, "0 1.5 12 * * ?", 2, 4, "\".5\"" },
    { CRON_QUARTZ, "0 1e1 12 * * ?", 2, 4, "\"e1\"" },
    { CRON_QUARTZ, "0 1:5 12 * * ?", 2, 4, "\":5\"" },
    { CRON_QUARTZ, "0 1=1 12 * * ?", 2, 4, "\"=1\"" },
    { CRON_QUARTZ, "0 1~5 12 * * ?", 2, 4, "write H" },
    { CRON_QUARTZ, "0 5* 12 * * ?", 2, 4, "\"*\"" },
    { CRON_QUARTZ, "0 ** 12 * * ?", 2, 4, "\"*\"" },
    { CRON_QUARTZ, "0 *-5 12 * * ?", 2, 4, "\"-5\"" },
    { CRON_QUARTZ, "0 0x10 12 * * ?", 2, 4, "\"x10\"" },
    { CRON_QUARTZ, "0 1,,2 12 * * ?", 2, 5, "empty" },
    { CRON_QUARTZ, "0 ,1 12 * * ?", 2, 3, "empty" },
    { CRON_QUARTZ, "0 1, 12 * * ?", 2, 5, "empty" },
    { CRON_QUARTZ, "0 , 12 * * ?", 2, 3, "empty" },
    { CRON_QUARTZ, "0 0 12 ?? * 2", 4, 8, "stands alone" },
    { CRON_QUARTZ, "0 0 12 *? * 2", 4, 9, "stands alone" },
    { CRON_QUARTZ, "0 0 12 1,? * 2", 4, 10, "stands alone" },
    { CRON_QUARTZ, "? 0 12 * * 2", 1, 1, "day fields" },
    { CRON_QUARTZ, "0 0 12 1 1 ? 20x6", 7, 14, "\"20\" is out of" },
    { CRON_QUARTZ, "0 0 12 1 1 ? 26", 7, 14, "out of 1970-2199" },
    { CRON_QUARTZ, "0 0 12 1 1 ? 2200", 7, 14, "out of 1970-2199" },
    { CRON_QUARTZ, "0 0 12 1 1 ? L", 7, 14, "\"L\"" },
    { CRON_QUARTZ, "0 0 12 1 1 ? *2026", 7, 15, "\"2026\"" },
    { CRON_QUARTZ, "0 0 12 1 1 ? 2026/0", 7, 19, "step of 0" },
    { CRON_QUARTZ, "0 0 12 1 1 ? 2030-2026", 7, 14, "backwards" },
    { CRON_QUARTZ, "0 0 12 1 1 ? H", 7, 14, "year" },
    { CRON_QUARTZ, "0 0 12 1 1 ? 2026 x", 8, 19, "too many fields" },
    { CRON_QUARTZ, "0 0 12 1 1 ? 2026 x y z", 8, 19, "too many fields" },
    { CRON_QUARTZ, "0 12 * * ?", 6, 11, "put \"0 \" in front" },
    { CRON_QUARTZ, "0 0 24 * * ?", 3, 5, "midnight is 0" },
    { CRON_QUARTZ, "0 0 12 1 * 2", 6, 12, "both day fields are set" },
    { CRON_QUARTZ, "0 0 12 ? * ?", 6, 12, "both day fields are" },
    { CRON_QUARTZ, "0 0 12 * * *", 6, 12, "write ? instead of *" },
    { CRON_QUARTZ, "0 0 12 * * MON", 4, 8, "write ? instead of *" },
    { CRON_QUARTZ, "0 0 12 1 JAN/3 ?", 5, 13, "ignores a step after names" },
    { CRON_QUARTZ, "0 0 12 ? * MON-FRI/2", 6, 19, "ignores a step after names" },
    { CRON_QUARTZ, "0 0 12 ? * MON-6", 6, 12, "both alike" },
    { CRON_QUARTZ, "0 0 12 ? * MONDAYX", 6, 12, "unknown weekday \"MONDAYX\"" },
    { CRON_QUARTZ, "0 0 12 1 JANUARY ?", 5, 10, "unknown month \"JANUARY\"" },
    { CRON_QUARTZ, "@daily", 1, 1, "no names with @" },
    { CRON_QUARTZ, "0 0 12 ? * MON#", 6, 16, "missing after" },
    { CRON_QUARTZ, "0 0 12 ? * H#2", 6, 13, "\"#2\"" },
    { CRON_QUARTZ, "0 4294967296 12 * * ?", 2, 3, "too many digits" },
    { CRON_UNIX, "4294967296 6 * * *", 1, 1, "too many digits" },
    { CRON_UNIX, "30-10 6 * * *", 1, 1, "write 30-59,0-10" },
    { CRON_UNIX, "0 6 * * SAT-MON", 5, 9, "backwards" },
    { CRON_UNIX, "0 6 ? * 1", 3, 5, "\"?\" is not known" },
    { CRON_UNIX, "5/15 * * * *", 1, 1, "write 5-59/" },
    { CRON_UNIX, "/15 * * * *", 1, 1, "\"/15\"" },
    { CRON_UNIX, "*/60 * * * *", 1, 3, "more than 59" },
    { CRON_UNIX, "0 6 * * 8", 5, 9, "out of 0-7" },
    { CRON_UNIX, "0 6 * * L", 5, 9, "L needs its weekday" },
    { CRON_UNIX, "0 6 * * MONDAY", 5, 9, "unknown weekday" },
    { CRON_UNIX, "0 6 0 * *", 3, 5, "out of 1-31" },
    { CRON_UNIX, "15 6 * * MON-", 5, 14, "missing after \"MON-\"" },
    { CRON_UNIX, "0 15 6 * * *", 6, 12, "unix cron has 5" },
    { CRON_UNIX, "0 6 * *", 5, 8, "unix cron has 5" },
    { CRON_UNIX, "@Daily", 1, 1, "unknown" },
    { CRON_UNIX, "@reboot", 1, 1, "manual" },
    { CRON_UNIX, "CRON_TZ=UTC 0 6 * * *", 1, 1, "zone" },
    { CRON_UNIX, "~ 6 * * *", 1, 1, "write H" },
    { CRON_UNIX, "H(30-10) 6 * * *", 1, 3, "backwards" },
    { CRON_UNIX, "H/61 6 * * *", 1, 3, "1-60" },
    { CRON_UNIX, "H(0-5 6 * * *", 1, 6, "missing after" },
    { CRON_UNIX, "HH 6 * * *", 1, 2, "\"H\"" },
    { CRON_SPRING, "0 15 20-6 * * *", 3, 6, "backwards" },
    { CRON_SPRING, "0 15 6 * * FRI-MON", 6, 12, "backwards" },
    { CRON_SPRING, "0 15 6 ? * 3#0", 6, 14, "#1 to #5" },
    { CRON_SPRING, "0 15 6 * * 9", 6, 12, "out of 0-7" },
    { CRON_SPRING, "0 /15 6 * * *", 2, 3, "\"/15\"" },
    { CRON_SPRING, "0 0 6 l * *", 4, 7, "\"l\" is not understood here" },
    { CRON_SPRING, "0 0 6 L-0 * *", 4, 9, "1-30" },
    { CRON_SPRING, "0 0 6 L-3W * *", 4, 10, "LW but no L-3W" },
    { CRON_SPRING, "0 0 6 * * L", 6, 11, "L needs its weekday" },
    { CRON_SPRING, "0 0 6 * * * 2026", 7, 13, "no year" },
    { CRON_SPRING, "@reboot", 1, 1, "manual" },
    { CRON_AUTO, "0 0 9 * * 1", 6, 11, "Sunday in Quartz, Monday in Spring" },
    { CRON_AUTO, "0 0 9 * * 2-6", 6, 11, "Sunday = 1" },
    { CRON_AUTO, "0 0 9 * * */2", 6, 11, "Sunday = 1" },
    { CRON_AUTO, "0 0 9 1 * MON", 6, 11, "both day fields are set" },
    { CRON_AUTO, "0 9 * *", 5, 8, "5 are unix cron" },
    { CRON_AUTO, "", 1, 1, "empty" },
    { CRON_AUTO, "   ", 1, 1, "empty" },
    { CRON_AUTO, "０ 9 * * *", 1, 1, "full-width \"０\"; write \"0\"" },
    { CRON_AUTO, "0 9 ＊ * *", 3, 5, "write \"*\"" },
    { CRON_AUTO, "0 9，10 * * *", 2, 4, "write \",\"" },
    { CRON_AUTO, "0 9、10 * * *", 2, 4, "write \",\"" },
    { CRON_AUTO, "0 9\u3000* * *", 2, 4, "full-width space" },
    { CRON_AUTO, "每天 9 点", 1, 1, "\"每\" has no place" },
    { CRON_AUTO, "0 9 * * *\n", 5, 10, "control character" },
    { CRON_AUTO, "0 9 * * \xff", 0, 1, "UTF-8" },
};

static void test_refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof *refusals; i++) {
        const struct refusal *r = &refusals[i];
        struct error err = { 0 };
        struct cron cron;
        char chinese[1024];
        if (cron_parse(str_of(r->expression), r->dialect, 0, &cron, &err) == 0)
            fail_msg("\"%s\" is accepted", r->expression);
        if (err.code != ERR_INVALID || err.field != r->field || err.position != r->position ||
            !strstr(error_english(&err), r->part))
            fail_msg("\"%s\": field %d position %d: %s", r->expression, err.field, err.position,
                     error_english(&err));
        error_text(&err, LANGUAGE_ZH, chinese, sizeof chinese);
        if (strcmp(chinese, error_english(&err)) == 0 || strchr(chinese, '\1'))
            fail_msg("\"%s\": no Chinese for %s", r->expression, err.message);
    }
}

static void test_message_names_the_field(void **state)
{
    struct error err = { 0 };
    struct cron cron;
    char text[1024];

    (void)state;
    assert_int_equal(cron_parse(STR("0 15 10 32W * ?"), CRON_QUARTZ, 0, &cron, &err), -1);
    assert_string_equal(error_text(&err, LANGUAGE_EN, text, sizeof text),
                        "field 4 day-of-month, char 9: \"32W\" is out of 1-31 (15W is the weekday "
                        "nearest to the 15th)");
    assert_string_equal(error_text(&err, LANGUAGE_ZH, text, sizeof text),
                        "字段 4「日」第 9 个字符：\"32W\" 超出 1-31（15W = 离 15 号最近的工作日）");
}

static void test_too_long(void **state)
{
    char text[CRON_TEXT_MAX + 2];
    struct error err = { 0 };
    struct cron cron;

    (void)state;
    memset(text, ' ', sizeof text);
    memcpy(text, "0 9 * * *", 9);
    assert_int_equal(cron_parse((struct str){ text, CRON_TEXT_MAX }, CRON_AUTO, 0, &cron, &err), 0);
    assert_int_equal(cron_parse((struct str){ text, CRON_TEXT_MAX + 1 }, CRON_AUTO, 0, &cron, &err),
                     -1);
}

struct pair {
    enum cron_dialect dialect, other_dialect;
    const char *expression, *same_as;
};

/* Two ways to write one set. */
static const struct pair pairs[] = {
    { CRON_QUARTZ, CRON_QUARTZ, "0 /15 * * * ?", "0 0,15,30,45 * * * ?" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 22-2 * * ?", "0 0 0-2,22-23 * * ?" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 22-2/2 * * ?", "0 0 22,0,2 * * ?" },
    { CRON_QUARTZ, CRON_QUARTZ, "50-10/20 * * * * ?", "50,10 * * * * ?" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 0 28-3 * ?", "0 0 0 1-3,28-31 * ?" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 0 1 NOV-FEB ?", "0 0 0 1 1,2,11,12 ?" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 0 ? * FRI-MON", "0 0 0 ? * 6,7,1,2" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 0 ? * */2", "0 0 0 ? * SUN,TUE,THU,SAT" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 0 ? * L", "0 0 0 ? * SAT" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 0 ? * friL", "0 0 0 ? * 6l" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0-10/70 * * * ?", "0 0 * * * ?" },
    { CRON_QUARTZ, CRON_QUARTZ, "0 0 0 lw * ?", "0 0 0 LW * ?" },
    { CRON_QUARTZ, CRON_QUARTZ, " 0\t0  0 1 1 ?  * ", "0 0 0 1 1 ?" },
    { CRON_UNIX, CRON_UNIX, "0 0 * * 0-7", "0 0 * * 0-6" },
    { CRON_UNIX, CRON_UNIX, "0 0 * * FRI-SUN", "0 0 * * 0,5,6" },
    { CRON_UNIX, CRON_UNIX, "0 0 * * 5-7", "0 0 * * fri,sat,SUN" },
    { CRON_UNIX, CRON_UNIX, "0 0 * * */2", "0 0 * * 0,2,4,6" },
    { CRON_UNIX, CRON_UNIX, "0 0 * * 7", "0 0 * * 0" },
    { CRON_UNIX, CRON_UNIX, "@weekly", "0 0 * * 0" },
    { CRON_UNIX, CRON_UNIX, "@annually", "0 0 1 1 *" },
    { CRON_UNIX, CRON_UNIX, "0 0 * * MON-FRI/2", "0 0 * * 1,3,5" },
    { CRON_UNIX, CRON_QUARTZ, "0 0 15W * *", "0 0 0 15W * ?" },
    { CRON_UNIX, CRON_QUARTZ, "0 0 * * 5L", "0 0 0 ? * 6L" },
    { CRON_UNIX, CRON_QUARTZ, "0 0 * * 5#3", "0 0 0 ? * FRI#3" },
    { CRON_UNIX, CRON_QUARTZ, "0 0 L * *", "0 0 0 L * ?" },
    { CRON_SPRING, CRON_SPRING, "0 0 0 * * */2", "0 0 0 * * MON,WED,FRI,SUN" },
    { CRON_SPRING, CRON_SPRING, "0 0 0 * * 7-2", "0 0 0 * * SUN,MON,TUE" },
    { CRON_SPRING, CRON_SPRING, "0 0 0 * * sun-tue", "0 0 0 * * 0-2" },
    { CRON_SPRING, CRON_SPRING, "0 0 0 * * FRI-SUN", "0 0 0 * * 5,6,7" },
    { CRON_SPRING, CRON_SPRING, "0 0/90 * * * *", "0 0 * * * *" },
    { CRON_SPRING, CRON_SPRING, "@Hourly", "0 0 * * * *" },
    { CRON_SPRING, CRON_SPRING, "0 0 0 ? * ?", "0 0 0 * * *" },
    { CRON_SPRING, CRON_SPRING, "0 0 0 * * MON#1,FRIL", "0 0 0 * * 1#1,5l" },
    { CRON_AUTO, CRON_QUARTZ, "0 0 9 ? * 1", "0 0 9 ? * SUN" },
    { CRON_AUTO, CRON_QUARTZ, "0 0 12 * * *", "0 0 12 * * ?" },
    { CRON_AUTO, CRON_QUARTZ, "0 0 12 * * MON-FRI", "0 0 12 ? * MON-FRI" },
    { CRON_AUTO, CRON_QUARTZ, "0 0 12 * * MON#2", "0 0 12 ? * MON#2" },
    { CRON_AUTO, CRON_QUARTZ, "0 0 12 15 * *", "0 0 12 15 * ?" },
    { CRON_AUTO, CRON_QUARTZ, "0 0 12 * * * 2027", "0 0 12 * * ? 2027" },
    { CRON_AUTO, CRON_UNIX, "0 12 * * 1", "0 12 * * 1" },
    { CRON_AUTO, CRON_UNIX, "@daily", "0 0 * * *" },
};

/* The sets only: how a field was written shows in flags and dialect. */
static bool same_sets(const struct cron *a, const struct cron *b)
{
    return a->seconds == b->seconds && a->minutes == b->minutes && a->hours == b->hours &&
           memcmp(a->years, b->years, sizeof a->years) == 0 && a->nth == b->nth &&
           a->days == b->days && a->last_days == b->last_days && a->near_days == b->near_days &&
           a->near_last_days == b->near_last_days && a->months == b->months &&
           a->weekdays == b->weekdays && a->year_types == b->year_types;
}

static void test_same_set(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        const struct pair *p = &pairs[i];
        struct error err = { 0 };
        struct cron a, b;
        if (cron_parse(str_of(p->expression), p->dialect, 0, &a, &err) < 0 ||
            cron_parse(str_of(p->same_as), p->other_dialect, 0, &b, &err) < 0)
            fail_msg("\"%s\" or \"%s\": %s", p->expression, p->same_as, error_english(&err));
        if (!same_sets(&a, &b))
            fail_msg("\"%s\" is not \"%s\"", p->expression, p->same_as);
    }
}

static const char *normalized(const char *text, enum cron_dialect dialect,
                              enum cron_dialect expected, struct buf *out)
{
    enum cron_dialect resolved;
    struct error err = { 0 };

    buf_clear(out);
    assert_int_equal(cron_normalize(str_of(text), dialect, &resolved, out, &err), 0);
    assert_int_equal(resolved, expected);
    return buf_text(out);
}

/* What is stored must be read the same by the dialect that is stored with it. */
static void test_normalize(void **state)
{
    CLEANUP(buf_done) struct buf out;

    (void)state;
    buf_init(&out, 4096);
    assert_string_equal(normalized(" 0 0\t12 * * * ", CRON_AUTO, CRON_QUARTZ, &out),
                        "0 0 12 * * ?");
    assert_string_equal(normalized("0 0 12 * * MON", CRON_AUTO, CRON_QUARTZ, &out),
                        "0 0 12 ? * MON");
    assert_string_equal(normalized("H H(0-5),12 * * *", CRON_AUTO, CRON_UNIX, &out),
                        "H H(0-5),12 * * *");
    assert_string_equal(normalized(" @daily", CRON_AUTO, CRON_UNIX, &out), "@daily");
    assert_string_equal(normalized("@DAILY", CRON_SPRING, CRON_SPRING, &out), "@DAILY");
    assert_string_equal(normalized("0 0 12 * * 1", CRON_SPRING, CRON_SPRING, &out),
                        "0 0 12 * * 1");
}

static const char *resolved(const char *text, enum cron_dialect dialect, uint64_t seed,
                            struct buf *out)
{
    struct error err = { 0 };

    buf_clear(out);
    assert_int_equal(cron_resolve(str_of(text), dialect, seed, out, &err), 0);
    return buf_text(out);
}

/* Fires hang on these numbers: a change of the hash would move jobs, so they are written down. */
static void test_hash_is_stable(void **state)
{
    CLEANUP(buf_done) struct buf out;

    (void)state;
    buf_init(&out, 4096);
    assert_string_equal(resolved("H H(0-5) * * *", CRON_UNIX, 7, &out), "24 0 * * *");
    assert_string_equal(resolved("H/15 * * * *", CRON_UNIX, 7, &out), "9-59/15 * * * *");
    assert_string_equal(resolved("0 H H ? * H(2-6)", CRON_QUARTZ, 7, &out), "0 24 18 ? * 2");
    assert_string_equal(resolved("@daily", CRON_SPRING, 7, &out), "0 0 0 * * *");
}

static void test_hash_spreads(void **state)
{
    uint64_t minutes = 0;
    uint32_t days = 0;

    (void)state;
    for (uint64_t seed = 0; seed < 1000; seed++) {
        struct cron cron;
        assert_int_equal(cron_parse(STR("H H H H H"), CRON_UNIX, seed, &cron, NULL), 0);
        assert_int_equal(__builtin_popcountll(cron.minutes), 1);
        minutes |= cron.minutes;
        days |= cron.days;
    }
    assert_true(minutes == (UINT64_C(1) << 60) - 1);
    assert_true(days == 0x1FFFFFFE); /* 1-28 */
}

/* A resolved expression is the same set without any seed. */
static void test_resolved_is_equal(void **state)
{
    static const char *const texts[] = { "H H/3 H(1-31) H H", "H(10-40)/7,5 H * H/2 H(MON-FRI)/2",
                                         "H/59 H * * H/7" };

    (void)state;
    for (uint64_t seed = 0; seed < 300; seed++) {
        CLEANUP(buf_done) struct buf out;
        struct cron a, b;
        const char *text = texts[seed % 3];
        buf_init(&out, 4096);
        assert_int_equal(cron_parse(str_of(text), CRON_UNIX, seed, &a, NULL), 0);
        resolved(text, CRON_UNIX, seed, &out);
        assert_int_equal(cron_parse(buf_str(&out), CRON_UNIX, 0, &b, NULL), 0);
        assert_true(same_sets(&a, &b));
    }
}

static void test_size(void **state)
{
    (void)state;
    assert_true(sizeof(struct cron) <= 128); /* 100,000 jobs hold one each */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_message_names_the_field),
        cmocka_unit_test(test_too_long),
        cmocka_unit_test(test_same_set),
        cmocka_unit_test(test_normalize),
        cmocka_unit_test(test_hash_is_stable),
        cmocka_unit_test(test_hash_spreads),
        cmocka_unit_test(test_resolved_is_equal),
        cmocka_unit_test(test_size),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
