#include "schedule/describe-private.h"

#include "base/memory.h"

enum { PHRASE_MAX = 4096 };

void say(const struct words *w, const char *english, const char *chinese)
{
    buf_add_text(w->out, w->zh ? chinese : english);
}

void say_join(const struct words *w, int i, int count)
{
    if (i == 0)
        return;
    if (w->zh)
        buf_add_text(w->out, "、");
    else
        buf_add_text(w->out, i == count - 1 ? " and " : ", ");
}

int spans_of(uint64_t mask, struct span spans[SPANS_MAX])
{
    int count = 0;

    for (int i = 0; i < 64; i++) {
        int last = i;
        if (!(mask >> i & 1))
            continue;
        while (last < 63 && mask >> (last + 1) & 1)
            last++;
        if (last < i + 2)
            last = i;
        spans[count++] = (struct span){ i, last };
        i = last;
    }
    return count;
}

void say_numbers(const struct words *w, uint64_t mask)
{
    struct span spans[SPANS_MAX];
    int count = spans_of(mask, spans);

    for (int i = 0; i < count; i++) {
        say_join(w, i, count);
        buf_add_number(w->out, spans[i].first);
        if (spans[i].last > spans[i].first)
            buf_printf(w->out, "-%d", spans[i].last);
    }
}

struct phrases {
    struct buf times, hours, days;
    bool is_list; /* times are named one by one */
    bool every_day;
};

static void phrases_init(struct phrases *p, const struct cron *cron, bool zh)
{
    buf_init(&p->times, PHRASE_MAX);
    buf_init(&p->hours, PHRASE_MAX);
    buf_init(&p->days, PHRASE_MAX);
    p->is_list = say_times(&(struct words){ cron, &p->times, zh });
    say_hours(&(struct words){ cron, &p->hours, zh });
    say_days(&(struct words){ cron, &p->days, zh });
    p->every_day =
        days_kind(cron) == DAYS_EVERY && cron->months == MONTHS_ALL && cron->flags & CRON_YEAR_STAR;
}

static void phrases_done(struct phrases *p)
{
    buf_done(&p->times);
    buf_done(&p->hours);
    buf_done(&p->days);
}

static void add(struct buf *out, const struct buf *phrase)
{
    buf_add(out, buf_text(phrase), phrase->size);
}

/* 每月第三个星期五 10:15; 每天 14:00-14:55 和 18:00-18:55 每 5 分钟 */
static void chinese_sentence(const struct phrases *p, struct buf *out)
{
    bool hourly_run =
        p->times.size && buf_text(&p->times)[0] >= '0' && buf_text(&p->times)[0] <= '9';

    if (!p->every_day || p->is_list || p->hours.size || hourly_run) {
        add(out, &p->days);
        buf_add_char(out, ' ');
    }
    add(out, &p->hours);
    if (p->hours.size)
        buf_add_char(out, ' ');
    add(out, &p->times);
}

/* Every day at 12:00; 10:15 on the third Friday of the month; Every 5 minutes, 14:00-14:55, … */
static void english_sentence(const struct phrases *p, enum days_kind kind, struct buf *out)
{
    if (p->is_list && kind != DAYS_OF_MONTH) {
        add(out, &p->days);
        buf_add_text(out, " at ");
        add(out, &p->times);
        return;
    }
    add(out, &p->times);
    if (p->hours.size) {
        buf_add_text(out, ", ");
        add(out, &p->hours);
    }
    if (p->every_day)
        return;
    if (kind == DAYS_OF_MONTH)
        buf_add_text(out, p->is_list ? " on " : ", on ");
    else
        buf_add_text(out, ", ");
    add(out, &p->days);
}

void cron_describe(const struct cron *cron, enum language language, struct buf *out)
{
    CLEANUP(buf_done) struct buf sentence;
    struct phrases phrases;
    bool zh = language == LANGUAGE_ZH;

    buf_init(&sentence, 4 * PHRASE_MAX);
    phrases_init(&phrases, cron, zh);
    if (zh)
        chinese_sentence(&phrases, &sentence);
    else
        english_sentence(&phrases, days_kind(cron), &sentence);
    phrases_done(&phrases);
    if (!cron->year_types)
        buf_add_text(&sentence, zh ? "（没有这样的日子）" : " (there is no such day)");
    if (sentence.size && sentence.bytes[0] >= 'a' && sentence.bytes[0] <= 'z')
        sentence.bytes[0] = (char)(sentence.bytes[0] - 'a' + 'A');
    buf_add(out, buf_text(&sentence), sentence.size);
}
