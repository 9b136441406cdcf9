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
