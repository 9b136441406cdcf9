//! The protocol project's conformance suite sees no difference between a server and the same server behind the proxy.

use anyhow::{Result, ensure};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use tapedeck_dev::mcp::{CLIENT_SCENARIOS, ClientScenario, Conformance, Detour};
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

/// Scenarios at once, each of which is two programs directly and two more through the proxy.
const SCENARIOS_AT_ONCE: usize = 2;

/// A target's name: the scenario's, without what names cannot have.
fn named(scenario: ClientScenario, path: &str) -> String {
    let name = format!("{}-{}{}", scenario.name, scenario.revision, path.replace('/', "-"));
    name.replace('_', "-").trim_end_matches('-').to_owned()
}

#[test]
fn a_client_does_as_well_in_the_conformance_suite_through_the_proxy_as_without_it() -> Result<()> {
    run(async {
        let parts = parts().await?;
        let suite = Conformance::open(parts.site()).await?;
        let token = parts.token("alice").await?;
        let mut detours = Vec::new();
        let mut targets = Vec::new();
        for scenario in CLIENT_SCENARIOS {
            let detour = Detour::new(token.as_str())?;
            targets.extend(detour.ends().map(|(path, url)| target(&named(scenario, path), &url)));
            detours.push((scenario, detour));
        }
        let deck = Deck::start(parts, targets).await?;
        let proxy = &deck.proxy;
        let played = detours.into_iter().map(|(scenario, mut detour)| {
            let suite = &suite;
            async move {
                for (path, _) in detour.ends() {
                    detour.enter(path, proxy.endpoint(&named(scenario, path)));
                }
                let (direct, through) = tokio::try_join!(
                    suite.client_outcomes(scenario, None),
                    suite.client_outcomes(scenario, Some(&detour)),
                )?;
                anyhow::Ok((scenario, direct, through))
            }
        });
        let played: Vec<_> = stream::iter(played).buffered(SCENARIOS_AT_ONCE).try_collect().await?;
        for (scenario, direct, through) in played {
            ensure!(
                direct.counts().get("SUCCESS").is_some_and(|count| *count > 0),
                "{scenario:?} checked nothing: {direct:?}"
            );
            ensure!(
                direct == through,
                "{scenario:?}, directly and through the proxy:\n{}",
                direct.differences(&through).join("\n")
            );
        }
        deck.finish().await?;
        Ok(())
    })
}
