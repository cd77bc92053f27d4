#include "base/heap.h"

#include "base/list.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>

enum { COUNT = 2000 };
static struct heap_node nodes[COUNT];

static int64_t key_of(int i)
{
    return (int64_t)((uint64_t)i * UINT64_C(2654435761) % 1000);
}

static void test_heap_gives_smallest_first(void **state)
{
    struct heap heap;
    int64_t last = INT64_MIN;

    (void)state;
    heap_init(&heap);
    assert_null(heap_first(&heap));
    for (int i = 0; i < COUNT; i++)
        heap_add(&heap, &nodes[i], key_of(i), (uint64_t)i);
    for (int i = 0; i < COUNT; i++) {
        struct heap_node *first = heap_first(&heap);

        assert_true(first->key >= last);
        last = first->key;
        heap_remove(&heap, first);
        assert_false(heap_has(first));
    }
    assert_null(heap_first(&heap));
    heap_done(&heap);
}

static void test_heap_orders_equal_keys_by_tie(void **state)
{
    struct heap heap;

    (void)state;
    heap_init(&heap);
    for (int i = COUNT - 1; i >= 0; i--)
        heap_add(&heap, &nodes[i], 7, (uint64_t)i);
    for (int i = 0; i < COUNT; i++) {
        assert_ptr_equal(heap_first(&heap), &nodes[i]);
        heap_remove(&heap, &nodes[i]);
    }
    heap_done(&heap);
}

static void test_heap_remove_from_the_middle(void **state)
{
    struct heap heap;
    int64_t last = INT64_MIN;
    int count = 0;

    (void)state;
    heap_init(&heap);
    for (int i = 0; i < COUNT; i++)
        heap_add(&heap, &nodes[i], key_of(i), (uint64_t)i);
    for (int i = 0; i < COUNT; i += 3) {
        heap_remove(&heap, &nodes[i]);
        heap_remove(&heap, &nodes[i]); /* again does nothing */
    }
    for (struct heap_node *first; (first = heap_first(&heap)); count++) {
        assert_true(first->key >= last);
        assert_int_not_equal((first - nodes) % 3, 0);
        last = first->key;
        heap_remove(&heap, first);
    }
    assert_int_equal(count, COUNT - (COUNT + 2) / 3);
    heap_done(&heap);
}

static void test_heap_keys_at_the_ends(void **state)
{
    struct heap heap;

    (void)state;
    heap_init(&heap);
    heap_add(&heap, &nodes[0], INT64_MAX, UINT64_MAX);
    heap_add(&heap, &nodes[1], INT64_MIN, 0);
    heap_add(&heap, &nodes[2], 0, UINT64_MAX);
    assert_ptr_equal(heap_first(&heap), &nodes[1]);
    heap_remove(&heap, &nodes[1]);
    assert_ptr_equal(heap_first(&heap), &nodes[2]);
    heap_remove(&heap, &nodes[2]);
    heap_remove(&heap, &nodes[0]);
    heap_done(&heap);
}

struct item {
    int number;
    struct list link;
};

static void test_list_keeps_the_order_and_lets_go(void **state)
{
    struct item items[5];
    struct list head;
    int sum = 0;

    (void)state;
    list_init(&head);
    assert_true(list_empty(&head));
    for (int i = 0; i < 5; i++) {
        items[i].number = i;
        list_add_tail(&head, &items[i].link);
    }
    list_remove(&items[0].link);
    list_remove(&items[0].link); /* again does nothing */
    list_remove(&items[4].link);
    LIST_EACH(&head, node)
        sum = sum * 10 + CONTAINER_OF(node, struct item, link)->number;
    assert_int_equal(sum, 123);
    LIST_EACH_SAFE(&head, node)
        list_remove(node);
    assert_true(list_empty(&head));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_heap_gives_smallest_first),
        cmocka_unit_test(test_heap_orders_equal_keys_by_tie),
        cmocka_unit_test(test_heap_remove_from_the_middle),
        cmocka_unit_test(test_heap_keys_at_the_ends),
        cmocka_unit_test(test_list_keeps_the_order_and_lets_go),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
