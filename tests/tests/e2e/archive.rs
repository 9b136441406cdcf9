//! The large archive that questions are measured on, in small: its tables are what its frames make them.

use std::collections::BTreeMap;

use anyhow::Result;
use tapedeck_tests::archive::{Archive, Shape, today};
use tapedeck_tests::oracle::{Wrong, calls, sessions, table};
use tapedeck_tests::{Deck, parts, run, target};
use uuid::Uuid;

#[test]
fn sessions_and_calls_of_a_made_archive_are_what_its_frames_add_up_to() -> Result<()> {
    run(async {
        let parts = parts().await?;
        // Its consumer makes the tables, and goes on to load what nobody records.
        let deck = Deck::start(parts, vec![target("probe", parts.probe.url())]).await?;
        let shape = Shape {
            sessions: 700,
            long_sessions: 0,
            people: 40,
            days: 9,
            until: today()?,
            issuer: parts.identity.issuer().to_owned(),
        };
        let archive = Archive::make(&deck.database, &shape, |_| {}).await?;
        let rows = table::read(&deck.database).await?;
        let of_sessions = rows.iter().filter(|row| !row.session_id.is_nil());
        let mut numbers: BTreeMap<Uuid, Vec<u64>> = BTreeMap::new();
        for row in of_sessions {
            numbers.entry(row.session_id).or_default().push(row.session_seq);
        }
        assert_eq!(numbers.len(), 700);
        assert_eq!(numbers.values().map(Vec::len).sum::<usize>() as u64, archive.frames);
        let mut wrong = Wrong::default();
        for (session, mut numbers) in numbers {
            numbers.sort_unstable();
            let dense: Vec<u64> = (1..=numbers.len() as u64).collect();
            wrong.unless(numbers == dense, || {
                format!("session {session} has the numbers {numbers:?}")
            });
        }
        wrong.verdict("the frames' numbers")?;
        sessions::verify(&deck.database, &rows).await?;
        calls::verify(&deck.database, &rows).await?;

        // Everything that can become of a call is in it, and each call is dated by its id.
        let outcomes =
            "SELECT outcome, count() AS calls FROM calls_v WHERE called <= started GROUP BY outcome ORDER BY outcome";
        let outcomes = table::values(&deck.database, outcomes).await?;
        let outcomes: Vec<&str> = outcomes.iter().filter_map(|row| row["outcome"].as_str()).collect();
        assert_eq!(outcomes, ["answered", "error", "refused", "upstream_lost"]);

        // Made again, it is the same.
        let fingerprint = "SELECT hex(groupBitXor(cityHash64(*))) AS all, count() AS count FROM frames";
        let once = table::values(&deck.database, fingerprint).await?;
        for name in table::tables(&deck.database).await? {
            if name != "schema_migrations" {
                let empty = format!("TRUNCATE TABLE {name}");
                deck.database.client().query_raw(&empty).execute().await?;
            }
        }
        assert_eq!(Archive::make(&deck.database, &shape, |_| {}).await?, archive);
        assert_eq!(table::values(&deck.database, fingerprint).await?, once);
        Ok(())
    })
}
