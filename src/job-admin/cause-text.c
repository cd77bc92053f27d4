#include "job-admin/run-api.h"

#include "base/clock.h"

/* Sentences that explain a run or a gap: one per cause, as messages of base/error so that they are
 * translated like all others. */

static const char *const sentences[CAUSE_LIMIT] = {
    [CAUSE_SCHEDULE] = "planned by the schedule",
    [CAUSE_MISFIRE] = "caught up: it was later than the misfire threshold",
    [CAUSE_MANUAL] = "started by hand",
    [CAUSE_RERUN] = "run again with the same inputs",
    [CAUSE_OK] = "ended well",
    [CAUSE_EXIT_CODE] = "the script ended with an exit code other than 0",
    [CAUSE_SIGNAL] = "the script was ended by a signal",
    [CAUSE_HTTP_STATUS] = "the answer's HTTP status is not one of success",
    [CAUSE_CHECK] = "the answer does not meet the success condition",
    [CAUSE_CONNECT] = "the far end could not be reached or broke off",
    [CAUSE_TLS] = "the TLS connection was refused: certificate or handshake",
    [CAUSE_EGRESS] = "the address is refused by the egress rules",
    [CAUSE_TOO_LARGE] = "the answer is larger than allowed",
    [CAUSE_TIMEOUT] = "it took longer than its timeout",
    [CAUSE_MEMORY] = "it needed more memory than allowed",
    [CAUSE_START] = "it could not be started",
    [CAUSE_TASK] = "its task cannot be carried out",
    [CAUSE_LOST] = "its executor was lost",
    [CAUSE_STOPPED] = "stopped by a person",
    [CAUSE_REPLACED] = "replaced by a newer fire",
    [CAUSE_DELETED] = "its job was deleted",
    [CAUSE_REDIRECT] = "the far end redirects, which is not allowed here or went on too long",
    [CAUSE_OUTPUT_LIMIT] = "it printed more than allowed",
    [CAUSE_PROCESSES] = "it started more processes than allowed",
    [CAUSE_OVERLAP] = "another run of the job was active",
    [CAUSE_QUEUE_FULL] = "as many runs of the job were waiting as may",
    [CAUSE_NO_EXECUTOR] = "no executor was there by its start deadline",
    [CAUSE_NO_SLOT] = "no executor had room by its start deadline",
    [CAUSE_MISFIRE_SKIPPED] = "later than the misfire threshold; the policy says skip",
    [CAUSE_MISFIRE_MERGED] = "later than the misfire threshold; one newer fire stands for it",
    [CAUSE_MISFIRE_LIMIT] = "later than the misfire threshold and over the limit of those caught up",
    [CAUSE_PAUSED] = "the job was paused",
    [CAUSE_DISABLED] = "the job was disabled",
    [CAUSE_EDITED] = "the schedule was changed before it was planned",
};

char *cause_text(enum cause cause, enum language language, struct arena *arena)
{
    const char *english = cause < CAUSE_LIMIT && sentences[cause] ? sentences[cause] : "";
    const char *chinese = language == LANGUAGE_ZH ? message_chinese(english) : NULL;

    return arena_strdup(arena, chinese ? chinese : english);
}

char *cause_sentence(const struct run_view *run, enum cause cause, enum language language,
                     struct arena *arena)
{
    char *text = cause_text(cause, language, arena);

    if (cause == CAUSE_EXIT_CODE && run->exit_code >= 0)
        return arena_printf(arena, "%s: %lld", text, (long long)run->exit_code);
    if (cause == CAUSE_SIGNAL && run->exit_signal)
        return arena_printf(arena, "%s: %lld", text, (long long)run->exit_signal);
    if (cause == CAUSE_HTTP_STATUS && run->http_status)
        return arena_printf(arena, "%s: %lld", text, (long long)run->http_status);
    if (cause == CAUSE_STOPPED && run->stop_by)
        return arena_printf(arena, "%s: %s", text, run->stop_by);
    if (cause == CAUSE_LOST && run->executor)
        return arena_printf(arena, "%s: %s", text, run->executor);
    return text;
}
