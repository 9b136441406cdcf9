//! The protocol project's conformance suite sees no difference between a server and the same server behind the proxy.

use anyhow::{Result, ensure};
use tapedeck_dev::mcp::Conformance;
use tapedeck_tests::{Deck, parts, run, target};

/// All revisions that the suite has scenarios for.
const REVISIONS: [&str; 4] = ["2025-03-26", "2025-06-18", "2025-11-25", "2026-07-28"];

/// Fewer checks than this, and the suite did not do its work. It does 300 of them.
const LEAST: usize = 250;

#[test]
fn the_conformance_suite_comes_out_the_same_through_the_proxy_as_without_it() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let suite = Conformance::open(parts.site()).await?;
        // Two servers: what one run leaves in a server must not show in the other.
        let (direct, behind) = tokio::try_join!(suite.server(), suite.server())?;
        let deck = Deck::start(parts, vec![target("conformance", behind.url())]).await?;
        let through = deck.proxy.endpoint("conformance");
        let token = parts.token("alice").await?;
        let token = token.as_str();

        let mut checks = 0;
        let mut differences = Vec::new();
        for revision in REVISIONS {
            let (direct, through) = tokio::try_join!(
                suite.outcomes(direct.url(), token, revision),
                suite.outcomes(&through, token, revision),
            )?;
            checks += direct.counts().values().sum::<usize>();
            let different = direct.differences(&through);
            differences.extend(different.into_iter().map(|line| format!("{revision}: {line}")));
            assert_eq!(direct.counts(), through.counts(), "{revision}: {differences:#?}");
        }
        ensure!(
            differences.is_empty(),
            "directly, and through the proxy:\n{}",
            differences.join("\n")
        );
        ensure!(checks >= LEAST, "only {checks} checks");
        deck.finish().await?;
        Ok(())
    })
}
