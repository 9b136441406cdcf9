//! What is secret in a conversation is in the raw topic, and in nothing that is left of it anywhere else.

use anyhow::Result;
use tapedeck_tests::{canaries, run};

#[test]
fn ten_thousand_canaries_of_each_kind_in_each_form_come_out_nowhere_and_would_be_seen() -> Result<()> {
    run(async {
        let account = canaries::all(canaries::SHORT, 1).await?;
        assert!(account.canaries >= 10_000 && account.rules >= 500, "{account:?}");
        account.tell()?;
        Ok(())
    })
}
