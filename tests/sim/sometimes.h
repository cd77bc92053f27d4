#ifndef BELFRY_TESTS_SIM_SOMETIMES_H
#define BELFRY_TESTS_SIM_SOMETIMES_H

#include <stdbool.h>
#include <stdint.h>

/*
 * What must happen in some world, or the worlds prove less than they seem to: a test that never saw
 * a lease expire says nothing about expired leases. SOMETIMES(site) counts; main fails on a zero.
 */
#define SITES(X)                                                                                   \
    X(plan_conflict)                                                                               \
    X(plan_unknown_applied) X(plan_unknown_not_applied) X(plan_existing_fire) X(move_conflict) X(  \
        move_foreign_epoch) X(move_unknown_applied) X(move_unknown_not_applied)                    \
        X(write_applied_late) X(store_away) X(lease_lost) X(lease_taken_over) X(lease_given_back)  \
            X(admin_died_in_step) X(admin_paused_past_lease) X(shard_loaded_with_runs)             \
                X(gap_merged) X(gap_limit) X(gap_misfire_skipped) X(gap_paused) X(run_misfire) X(  \
                    run_misfire_skipped) X(state_waiting) X(state_retry_wait) X(state_ready)       \
                    X(state_running) X(end_succeeded) X(end_failed) X(end_timed_out) X(            \
                        end_cancelled) X(end_skipped) X(end_shed) X(end_unknown) X(cause_overlap)  \
                        X(cause_queue_full) X(cause_replaced) X(cause_lost) X(cause_stopped) X(    \
                            cause_deleted) X(lost_at_last) X(attempt_second) X(dispatch_refused)   \
                            X(dispatch_seen) X(dispatch_wrong_incarnation) X(dispatch_not_sent) X( \
                                dispatch_unanswered) X(ask_seen) X(ask_not_seen)                   \
                                X(ask_wrong_incarnation) X(refused_after_not_seen) X(kill_running) \
                                    X(kill_unknown) X(report_not_ours) X(report_stale)             \
                                        X(report_from_spool) X(result_without_start)               \
                                            X(result_after_stop_succeeded)                         \
                                                X(executor_lost_running) X(two_admins_own)         \
                                                    X(manual_run) X(job_edited) X(job_deleted)     \
                                                        X(job_resumed) X(delay_rescheduled)        \
                                                            X(wanted_job) X(epoch_read_too_early)  \
                                                                X(clock_stepped_back)              \
                                                                    X(poison_seen)

enum site {
#define X(name) SITE_##name,
    SITES(X)
#undef X
        SITE_COUNT
};
extern const char *const site_names[SITE_COUNT];
extern uint64_t site_hits[SITE_COUNT];

#define SOMETIMES(name) ((void)site_hits[SITE_##name]++)

#endif
