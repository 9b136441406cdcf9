//! What the pages promise.

use anyhow::Result;
use tapedeck_tests::run;

use crate::browser::play;

#[test]
fn every_page_is_reached_and_worked_by_keyboard_after_a_real_sign_in() -> Result<()> {
    run(play("keyboard"))
}

#[test]
fn a_session_appears_and_grows_while_it_is_watched() -> Result<()> {
    run(play("live"))
}

#[test]
fn markup_and_scripts_of_clients_are_shown_as_text_on_every_page() -> Result<()> {
    run(play("hostile"))
}

#[test]
fn no_page_breaks_a_rule_of_accessibility_in_any_theme_or_size() -> Result<()> {
    run(play("accessible"))
}

#[test]
fn two_sessions_are_seen_side_by_side_with_what_differs() -> Result<()> {
    run(play("compare"))
}

#[test]
fn a_time_is_brushed_on_the_chart_and_a_closer_one_on_what_that_shows() -> Result<()> {
    run(play("chart"))
}

#[test]
fn an_auditor_sees_their_tenant_and_a_visitor_nothing_of_others() -> Result<()> {
    run(play("auditor"))
}

#[test]
fn an_exported_page_plays_the_session_with_no_network_at_all() -> Result<()> {
    run(play("offline"))
}
