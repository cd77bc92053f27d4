#include "schedule/zone-private.h"

#include "base/clock.h"
#include "base/memory.h"

#include <fcntl.h>
#include <ftw.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- a TZif file of our own ---- */

static void add_u32(struct buf *out, uint32_t value)
{
    for (int shift = 24; shift >= 0; shift -= 8)
        buf_add_char(out, (char)(value >> shift));
}

static void add_header(struct buf *out, uint32_t times, uint32_t types)
{
    buf_add_text(out, "TZif2");
    for (int i = 0; i < 15; i++)
        buf_add_char(out, '\0');
    for (int i = 0; i < 3; i++)
        add_u32(out, 0);
    add_u32(out, times);
    add_u32(out, types);
    add_u32(out, 4); /* characters of names */
}

struct change {
    int64_t at;
    char type;
};

/* offsets are of type 0, 1, …; the first block, which is for version 1, is empty. */
static void file_make(struct buf *out, const struct change *changes, uint32_t count,
                      const int32_t *offsets, uint32_t types, const char *rule)
{
    buf_init(out, 65536);
    add_header(out, 0, 0);
    buf_add(out, "ABC", 4);
    add_header(out, count, types);
    for (uint32_t i = 0; i < count; i++) {
        add_u32(out, (uint32_t)((uint64_t)changes[i].at >> 32));
        add_u32(out, (uint32_t)changes[i].at);
    }
    for (uint32_t i = 0; i < count; i++)
        buf_add_char(out, changes[i].type);
    for (uint32_t i = 0; i < types; i++) {
        add_u32(out, (uint32_t)offsets[i]);
        buf_add(out, "\0\0", 2);
    }
    buf_add(out, "ABC", 4);
    buf_printf(out, "\n%s\n", rule);
}

static struct zone *zone_of_rule(const char *rule)
{
    CLEANUP(buf_done) struct buf bytes;
    struct zone *zone = NULL;
    int32_t offset = 0;

    file_make(&bytes, NULL, 0, &offset, 1, rule);
    if (zone_parse("Test/Rule", bytes.bytes, bytes.size, &zone, NULL) < 0)
        return NULL;
    return zone;
}

struct rule_row {
    const char *rule, *time;
    int offset;
};

static const struct rule_row rule_rows[] = {
    { "UTC0", "2050-06-01T00:00:00Z", 0 },
    { "CST-8", "2050-06-01T00:00:00Z", 28800 },
    { "<+0545>-5:45", "2050-06-01T00:00:00Z", 20700 },
    { "EST5EDT,M3.2.0,M11.1.0", "2050-03-13T06:59:59Z", -18000 },
    { "EST5EDT,M3.2.0,M11.1.0", "2050-03-13T07:00:00Z", -14400 },
    { "EST5EDT,M3.2.0,M11.1.0", "2050-11-06T05:59:59Z", -14400 },
    { "EST5EDT,M3.2.0,M11.1.0", "2050-11-06T06:00:00Z", -18000 },
    { "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2050-01-01T00:00:00Z", 39600 },
    { "<+1030>-10:30<+11>-11,M10.1.0,M4.1.0", "2050-07-01T00:00:00Z", 37800 },
    { "IST-1GMT0,M10.5.0,M3.5.0/1", "2050-01-01T00:00:00Z", 0 },
    { "IST-1GMT0,M10.5.0,M3.5.0/1", "2050-07-01T00:00:00Z", 3600 },
    { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T00:59:59Z", -7200 },
    { "<-02>2<-01>,M3.5.0/-1,M10.5.0/0", "2050-03-27T01:00:00Z", -3600 },
    { "AAA0BBB,J60/0,J300/0", "2052-03-01T00:00:00Z", 3600 }, /* J60 is 1 March in leap years too */
    { "AAA0BBB,J60/0,J300/0", "2052-02-29T23:59:59Z", 0 },
    { "AAA0BBB,59/0,300/0", "2052-02-29T00:00:00Z", 3600 },
    { "AAA0BBB,59/0,300/0", "2051-03-01T00:00:00Z", 3600 },
    { "EET-2EEST,M3.4.4/50,M10.4.4/50", "2050-03-26T00:00:00Z", 10800 }, /* Gaza: 50 hours on */
    { "XXX3EDT4,0/0,J365/23", "2050-12-31T23:30:00Z", -14400 }, /* daylight time all year */
    { "XXX3EDT4,0/0,J365/23", "2050-06-01T00:00:00Z", -14400 },
};

static void test_rules(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rule_rows / sizeof *rule_rows; i++) {
        const struct rule_row *row = &rule_rows[i];
        struct zone *zone = zone_of_rule(row->rule);
        int64_t time;
        if (!zone)
            fail_msg("%s is refused", row->rule);
        assert_true(time_parse(str_of(row->time), &time));
        if (zone_offset_at(zone, time) != row->offset)
            fail_msg("%s at %s: %d", row->rule, row->time, zone_offset_at(zone, time));
        zone_unref(&zone);
    }
}

static void test_damaged_rules(void **state)
{
    static const char *const rules[] = {
        "EST",
        "E5",
        "EST5EDT",
        "EST5EDT,M3.2.0",
        "EST5EDT,M13.2.0,M11.1.0",
        "<EST5",
        "EST25",
        "EST5EDT,M3.6.0,M11.1.0",
        "EST5EDT,M3.2.7,M11.1.0",
        "EST5EDT,J0,J9",
        "EST5EDT,366,9",
        "EST5EDT,M3.2.0,M11.1.0x",
        "EST5EDT,M3.2.0/168,M11.1.0",
        "EST5:60",
    };

    (void)state;
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        struct zone *zone = zone_of_rule(rules[i]);
        if (zone)
            fail_msg("%s is accepted", rules[i]);
    }
}

/* Every shorter file is damaged, and so is one whose numbers lie. */
static void test_damaged_files(void **state)
{
    CLEANUP(buf_done) struct buf bytes;
    const struct change changes[] = { { 1000000, 1 }, { 2000000, 0 } };
    const int32_t offsets[] = { 3600, 7200 };
    struct zone *zone = NULL;
    struct error err = { 0 };

    (void)state;
    file_make(&bytes, changes, 2, offsets, 2, "AAA-1");
    assert_int_equal(zone_parse("Test", bytes.bytes, bytes.size, &zone, &err), 0);
    assert_int_equal(zone_offset_at(zone, 999999999), 3600);
    assert_int_equal(zone_offset_at(zone, 1000000000), 7200);
    assert_int_equal(zone_offset_at(zone, 2000000000), 3600);
    zone_unref(&zone);
    for (size_t size = 0; size < bytes.size; size++)
        assert_int_equal(zone_parse("Test", bytes.bytes, size, &zone, &err), -1);
    assert_int_equal(err.code, ERR_INVALID);
    buf_done(&bytes);
    file_make(&bytes, (struct change[]){ { 5, 0 }, { 5, 1 } }, 2, offsets, 2, "AAA-1");
    assert_int_equal(zone_parse("Test", bytes.bytes, bytes.size, &zone, &err), -1);
    buf_done(&bytes);
    file_make(&bytes, (struct change[]){ { 5, 2 } }, 1, offsets, 2, "AAA-1");
    assert_int_equal(zone_parse("Test", bytes.bytes, bytes.size, &zone, &err), -1);
    buf_done(&bytes);
    file_make(&bytes, NULL, 0, (int32_t[]){ 100000 }, 1, "AAA-1");
    assert_int_equal(zone_parse("Test", bytes.bytes, bytes.size, &zone, &err), -1);
}

static void test_unknown(void **state)
{
    static const char *const names[] = {
        "Asia/Nowhere",
        "",
        "/etc/passwd",
        "../../../etc/passwd",
        "Asia",
        "zone.tab",
        "right/UTC",
        "Asia/Shang hai",
        "Asia/Shanghai\n",
        "./UTC",
        "tzdata.zi",
        "Asia//..//Tokyo",
        "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
    };

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct zone *zone = NULL;
        struct error err = { 0 };
        assert_int_equal(zone_load(names[i], &zone, &err), -1);
        assert_int_equal(err.code, ERR_INVALID);
        assert_null(zone);
    }
}

static void test_hint(void **state)
{
    struct zone *zone = NULL;
    struct error err = { 0 };

    (void)state;
    assert_int_equal(zone_load("Asia/Beijing", &zone, &err), -1);
    assert_string_equal(error_english(&err),
                        "unknown time zone \"Asia/Beijing\"; write Asia/Shanghai");
}

static void test_utc(void **state)
{
    struct zone *zone = NULL;

    (void)state;
    assert_int_equal(zone_load("UTC", &zone, NULL), 0);
    assert_ptr_equal(zone, zone_utc());
    assert_int_equal(zone_offset_at(zone, INT64_MAX), 0);
    assert_int_equal(zone_offset_at(zone, INT64_MIN), 0);
    zone_unref(&zone);
    zone_unref(&zone);
    assert_int_equal(zone_offset_at(zone_utc(), 0), 0);
}

/* ---- all zones of the system against glibc ---- */

static int zones_seen;

static int zone_compare(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    const char *name = path + strlen("/usr/share/zoneinfo/");
    struct zone *zone = NULL;
    uint64_t random = 1;

    (void)st;
    (void)ftw;
    if (type != FTW_F || !zone_name_valid(name) || zone_load(name, &zone, NULL) < 0)
        return 0;
    setenv("TZ", name, 1);
    tzset();
    for (int i = 0; i < 300; i++) {
        struct tm tm;
        random = random * UINT64_C(6364136223846793005) + 1442695040888963407u;
        time_t t = (time_t)((random >> 20) % UINT64_C(7258118400));
        assert_non_null(localtime_r(&t, &tm));
        if (zone_offset_at(zone, (int64_t)t * 1000) != tm.tm_gmtoff)
            fail_msg("%s at %lld: %d, glibc says %ld", name, (long long)t,
                     zone_offset_at(zone, (int64_t)t * 1000), tm.tm_gmtoff);
    }
    zones_seen++;
    zone_unref(&zone);
    return 0;
}

static void test_all_zones(void **state)
{
    (void)state;
    assert_int_equal(nftw("/usr/share/zoneinfo", zone_compare, 16, FTW_PHYS), 0);
    assert_true(zones_seen > 300);
}

/* ---- the set ---- */

static char folder[] = "/tmp/belfry-zone-XXXXXX";

/* As the package manager does it: a new file under the old name. */
static void file_write(const char *name, const char *rule)
{
    CLEANUP(buf_done) struct buf bytes;
    char path[256], temporary[256];
    int32_t offset = 0;

    file_make(&bytes, NULL, 0, &offset, 1, rule);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(temporary, sizeof temporary, "%s/new", folder);
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes.bytes, bytes.size), (ssize_t)bytes.size);
    close(fd);
    assert_int_equal(rename(temporary, path), 0);
}

static int folder_new(void **state)
{
    (void)state;
    return mkdtemp(folder) ? 0 : -1;
}

static int file_remove(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
    (void)st;
    (void)type;
    (void)ftw;
    return remove(path);
}

static int folder_remove(void **state)
{
    (void)state;
    return nftw(folder, file_remove, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_set_shares(void **state)
{
    struct zone_set *set = zone_set_new(folder);
    struct zone *a = NULL, *b = NULL;

    (void)state;
    file_write("Home", "AAA-1");
    assert_int_equal(zone_set_find(set, "Home", &a, NULL), 0);
    assert_int_equal(zone_set_find(set, "Home", &b, NULL), 0);
    assert_ptr_equal(a, b);
    assert_string_equal(zone_name(a), "Home");
    assert_int_equal(zone_set_find(set, "Away", &b, NULL), -1);
    zone_set_free(&set);
    assert_int_equal(zone_offset_at(a, 0), 3600); /* our reference still holds */
    zone_unref(&a);
    zone_unref(&b);
}

static void test_set_reload(void **state)
{
    struct zone_set *set = zone_set_new(folder);
    struct zone *before = NULL, *after = NULL, *utc = NULL;

    (void)state;
    file_write("Home", "AAA-1");
    file_write("Other", "BBB-2");
    assert_int_equal(zone_set_find(set, "Home", &before, NULL), 0);
    assert_int_equal(zone_set_find(set, "Other", &after, NULL), 0);
    assert_int_equal(zone_set_find(set, "UTC", &utc, NULL), 0);
    zone_unref(&after);
    assert_false(zone_set_reload(set));
    file_write("Home", "AAA-1"); /* another file, the same rules */
    assert_false(zone_set_reload(set));
    file_write("Home", "AAA-3");
    assert_true(zone_set_reload(set));
    assert_false(zone_set_reload(set));
    assert_int_equal(zone_set_find(set, "Home", &after, NULL), 0);
    assert_int_equal(zone_offset_at(before, 0), 3600);
    assert_int_equal(zone_offset_at(after, 0), 10800);
    assert_false(zone_same_rules(before, after));
    zone_unref(&before);
    zone_unref(&after);
    zone_unref(&utc);
    zone_set_free(&set);
}

/* A file that vanishes or breaks keeps the zone, and is read once it is whole again. */
static void test_set_reload_damaged(void **state)
{
    struct zone_set *set = zone_set_new(folder);
    struct zone *zone = NULL;
    char path[256];

    (void)state;
    file_write("Home", "AAA-1");
    assert_int_equal(zone_set_find(set, "Home", &zone, NULL), 0);
    zone_unref(&zone);
    snprintf(path, sizeof path, "%s/Home", folder);
    assert_int_equal(unlink(path), 0);
    assert_false(zone_set_reload(set));
    file_write("Home", "AAA");
    assert_false(zone_set_reload(set));
    assert_int_equal(zone_set_find(set, "Home", &zone, NULL), 0);
    assert_int_equal(zone_offset_at(zone, 0), 3600);
    zone_unref(&zone);
    file_write("Home", "AAA-2");
    assert_true(zone_set_reload(set));
    zone_set_free(&set);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rules),         cmocka_unit_test(test_damaged_rules),
        cmocka_unit_test(test_damaged_files), cmocka_unit_test(test_unknown),
        cmocka_unit_test(test_hint),          cmocka_unit_test(test_utc),
        cmocka_unit_test(test_all_zones),     cmocka_unit_test(test_set_shares),
        cmocka_unit_test(test_set_reload),    cmocka_unit_test(test_set_reload_damaged),
    };

    return cmocka_run_group_tests(tests, folder_new, folder_remove);
}
