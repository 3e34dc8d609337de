//! What every store promises, checked on all three: the laws run on memory, on a file and on a real Redis.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on says where")]

mod file;
mod grace;
mod laws;
mod memory;
mod near;
mod near_schedules;
mod outages;
mod place;
mod process;
mod races;
mod redis;
mod redis_access;
mod redis_cluster;
mod redis_news;
mod redis_sentinel;
mod schedules;
mod shared;
mod sharing;

/// Runs each law on each kind of store.
macro_rules! on_every_store {
    ($($laws:ident: $($law:ident)*;)*) => {
        mod on_memory {
            use super::{laws, place::Place, races, shared};
            $($(#[tokio::test] async fn $law() { $laws::$law(&Place::memory()).await })*)*
        }
        mod on_file {
            use super::{laws, place::Place, races, shared};
            $($(#[tokio::test] async fn $law() { $laws::$law(&Place::file()).await })*)*
        }
        mod on_redis {
            use super::{laws, place::Place, races, shared};
            $($(#[tokio::test] async fn $law() { $laws::$law(&Place::redis()).await })*)*
        }
        mod on_cluster {
            use super::{laws, place::Place, races, redis_cluster, shared, sharing};
            /// One Cluster for all of them, emptied in between: six servers take a while to agree.
            #[tokio::test]
            async fn every_law() {
                let cluster = crate::support::RedisCluster::start();
                $($(
                    eprintln!("{}", stringify!($law));
                    cluster.empty();
                    $laws::$law(&Place::cluster(&cluster)).await;
                )*)*
                cluster.empty();
                sharing::every_law(&Place::cluster(&cluster)).await;
                cluster.empty();
                redis_cluster::a_slot_that_moves_while_it_is_written_loses_no_write(&cluster).await;
            }
        }
    };
}

on_every_store! {
    laws:
        a_session_is_found_as_it_was_written
        an_unknown_key_is_absent_and_not_an_error
        a_taken_key_is_not_written_again
        a_replacement_raises_the_version_by_one
        a_replacement_of_another_version_is_a_conflict
        a_replacement_of_nothing_is_gone
        an_end_is_remembered_with_its_first_reason
        an_end_tells_what_it_ended
        an_end_of_one_version_leaves_a_newer_one_alive
        a_late_replace_never_brings_an_ended_session_back
        an_ended_session_cannot_be_inserted_again
        a_session_is_absent_after_its_absolute_end
        a_replacement_does_not_prolong_the_session
        the_memory_of_an_end_does_not_outlive_the_session
        an_index_lists_its_own_sessions_only
        an_index_forgets_a_session_with_its_absolute_end
        an_index_lives_as_long_as_its_longest_session
        a_note_is_put_once_and_taken_once
        a_note_is_gone_after_its_time
        keys_of_different_purposes_do_not_meet
        a_record_of_a_megabyte_comes_back_whole
        an_empty_record_is_a_record
        a_store_that_works_answers_the_ping;
    races:
        of_fifty_takers_one_gets_the_note
        of_fifty_putters_one_puts_the_note
        of_fifty_inserts_one_is_written
        every_version_is_replaced_exactly_once
        an_end_that_races_replaces_is_final
        of_many_ends_one_is_now;
    shared:
        load_now_tells_what_stands_there
        a_lease_has_one_holder
        a_lease_ends_by_itself
        a_renewed_lease_lasts_longer
        a_lease_is_inherited_after_the_last_sign_of_life_only
        a_verdict_is_told_to_all_for_its_time
        a_verdict_needs_the_lease
        a_lease_is_neither_session_nor_note_nor_index
        of_fifty_who_want_a_lease_one_gets_it
        what_is_done_under_a_lease_is_done_alone
        a_window_of_a_budget_holds_what_is_allowed
        a_budget_that_is_paused_gives_nothing_out
        of_forty_who_spend_at_once_as_many_are_granted_as_allowed
        a_session_can_be_filed_under_one_more_index
        a_session_filed_again_stays_for_the_longer_time_and_is_listed_once
        a_wait_ends_with_a_write_or_an_end
        a_wait_counts_from_the_call
        a_wait_ends_without_a_change_in_its_time
        a_walk_shows_every_live_session
        a_walk_misses_nobody_who_stays_while_others_come_and_go;
}
