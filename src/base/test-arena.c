#include "base/arena.h"

#include <stdint.h>
#include <string.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

static void test_arena_alloc_zeroed_and_aligned(void **state)
{
    struct arena *arena = arena_new();
    static const char zero[100];

    (void)state;
    for (size_t size = 0; size < 100; size++) {
        char *bytes = arena_alloc(arena, size);

        assert_non_null(bytes);
        assert_int_equal((uintptr_t)bytes % 16, 0);
        assert_memory_equal(bytes, zero, size);
        memset(bytes, 0xa5, size);
    }
    arena_free(&arena);
    assert_null(arena);
}

static void test_arena_pieces_do_not_overlap(void **state)
{
    enum { COUNT = 500, SIZE = 1000 };
    struct arena *arena = arena_new();
    unsigned char *pieces[COUNT];

    (void)state;
    for (int i = 0; i < COUNT; i++) {
        pieces[i] = arena_alloc(arena, SIZE);
        memset(pieces[i], i & 0xff, SIZE);
    }
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(pieces[i][0], i & 0xff);
        assert_int_equal(pieces[i][SIZE - 1], i & 0xff);
    }
    arena_free(&arena);
}

static void test_arena_takes_what_is_larger_than_a_block(void **state)
{
    struct arena *arena = arena_new();
    char *large = arena_alloc(arena, 3 * 1024 * 1024), *small = arena_alloc(arena, 16);

    (void)state;
    memset(large, 1, 3 * 1024 * 1024);
    assert_int_equal(small[0], 0);
    assert_true(arena_size(arena) >= 3 * 1024 * 1024);
    arena_free(&arena);
}

static void test_arena_reset_gives_back_all_but_one_block(void **state)
{
    struct arena *arena = arena_new();
    size_t first = arena_size(arena);

    (void)state;
    for (int i = 0; i < 1000; i++)
        memset(arena_alloc(arena, 999), 0xff, 999);
    arena_reset(arena);
    assert_int_equal(arena_size(arena), first);
    /* used memory is zeroed again */
    assert_string_equal(arena_alloc(arena, 100), "");
    arena_free(&arena);
}

static void test_arena_texts(void **state)
{
    struct arena *arena = arena_new();

    (void)state;
    assert_string_equal(arena_strdup(arena, "钟楼"), "钟楼");
    assert_null(arena_strdup(arena, NULL));
    assert_string_equal(arena_strndup(arena, "belfry", 3), "bel");
    assert_string_equal(arena_strndup(arena, NULL, 0), "");
    assert_string_equal(arena_printf(arena, "%d %s", 7, "x"), "7 x");
    assert_memory_equal(arena_copy(arena, "a\0b", 3), "a\0b", 3);
    arena_free(&arena);
}

static void test_arena_free_of_nothing(void **state)
{
    struct arena *arena = NULL;

    (void)state;
    arena_free(&arena);
    assert_null(arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_arena_alloc_zeroed_and_aligned),
        cmocka_unit_test(test_arena_pieces_do_not_overlap),
        cmocka_unit_test(test_arena_takes_what_is_larger_than_a_block),
        cmocka_unit_test(test_arena_reset_gives_back_all_but_one_block),
        cmocka_unit_test(test_arena_texts),
        cmocka_unit_test(test_arena_free_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
