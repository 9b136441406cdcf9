//! From the topic into ClickHouse: the consumer beside ClickHouse's own Kafka engine.
//!
//! Every contender loads the same records, which name their schema by a registry's id, since the engine reads Avro in no
//! other way, into an empty database of the same ClickHouse, which is removed afterwards.

mod backlog;
mod engine;
mod load;
mod topic;

use anyhow::Context as _;
use tapedeck_dev::registry::Registry as Apicurio;
use tapedeck_schemas::schema;
use tapedeck_schemas::wire::Framing;
use url::Url;

pub(super) use load::{Contender, Loaded, Way, load, on_disk, remove};
pub(super) use topic::{Sizes, Topic};

use super::parts::{Parts, note};
use super::report::median;
use super::{Extent, Report};

/// Of the records of the mixture, which are five times as large, so many less.
const LESS: usize = 5;

/// What is asked of the consumer, as multiples of the Kafka engine's.
const FASTER: f64 = 4.0;
const FASTER_REDACTING: f64 = 2.5;
const CHEAPER: f64 = 1.0 / 3.0;
/// Frames a second on one core, in the consumer alone.
const ALONE: f64 = 100_000.0;
/// MiB.
const MEMORY: f64 = 400.0;
/// Bytes a frame of 0.9 KB.
const DISK: f64 = 300.0;
/// Frames of a backlog, and seconds within which it is to be caught up with.
const BACKLOG: (usize, f64) = (1_000_000, 45.0);

/// The loads of one topic under one condition, by contender, one for each round.
struct Turns {
    topic: Sizes,
    merges: bool,
    loads: Vec<(Contender, Vec<Loaded>)>,
}

pub(super) async fn measure(parts: &Parts, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let apicurio = Apicurio::start(parts.site()).await?;
    let registry: Url = apicurio.url().parse()?;
    for sizes in [Sizes::Kibibyte, Sizes::Mixture] {
        let (prefix, calls) = match sizes {
            Sizes::Mixture => ("measure-mixture", extent.calls / LESS),
            _ => ("measure-kibibyte", extent.calls),
        };
        let topic = format!("{prefix}.frames.v1");
        let id = register(&registry, &topic).await?;
        let topic = Topic::filled(parts, prefix, sizes, calls, Framing::Registry(id)).await?;
        for merges in [false, true] {
            let turns = take_turns(parts, &topic, &registry, merges, extent.loads).await?;
            tell(&turns, report);
        }
    }
    drop(apicurio);
    disk(parts, extent, report).await?;
    backlog(parts, extent, report).await
}

/// The id of the frames' schema for a topic.
async fn register(registry: &Url, topic: &str) -> anyhow::Result<u32> {
    let subject = format!("{registry}/subjects/{topic}-value/versions");
    let body = serde_json::json!({ "schema": schema::FRAME, "schemaType": "AVRO" }).to_string();
    let request = reqwest::Client::new()
        .post(&subject)
        .header("content-type", "application/vnd.schemaregistry.v1+json")
        .body(body);
    let answer = request.send().await?.error_for_status()?.bytes().await?;
    let answer: serde_json::Value = serde_json::from_slice(&answer)?;
    let id = answer["id"].as_u64().context("the registry gives no id")?;
    Ok(u32::try_from(id)?)
}

async fn take_turns(
    parts: &Parts,
    topic: &Topic,
    registry: &Url,
    merges: bool,
    rounds: usize,
) -> anyhow::Result<Turns> {
    let mut loads: Vec<(Contender, Vec<Loaded>)> = Contender::ALL.map(|contender| (contender, Vec::new())).into();
    for round in 1..=rounds {
        for (number, (contender, of)) in loads.iter_mut().enumerate() {
            let merging = if merges { "merges running" } else { "merges stopped" };
            note(&format!(
                "{}, {merging}, {round} of {rounds}: {}",
                topic.sizes.name(),
                contender.name()
            ));
            let database = parts.database(&format!(
                "load_{}_{}_{round}_{number}",
                topic.sizes.name().replace(' ', "_").to_lowercase(),
                u8::from(merges)
            ));
            let way = Way {
                contender: *contender,
                merges,
                registry: Some(registry),
            };
            of.push(load(parts, topic, &database, way).await?);
            remove(&database).await?;
        }
    }
    Ok(Turns {
        topic: topic.sizes,
        merges,
        loads,
    })
}

impl Turns {
    fn of(&self, contender: Contender) -> &[Loaded] {
        let found = self.loads.iter().find(|(other, _)| *other == contender);
        found.map_or(&[], |(_, loads)| loads)
    }

    fn median(&self, contender: Contender, value: impl Fn(&Loaded) -> f64) -> f64 {
        median(self.of(contender).iter().map(value).collect())
    }

    /// The median over the rounds of how often one contender's value holds another's of the same round.
    fn ratio(&self, contender: Contender, to: Contender, value: impl Fn(&Loaded) -> f64) -> f64 {
        let rounds = self.of(contender).iter().zip(self.of(to));
        median(rounds.map(|(of, to)| value(of) / value(to)).collect())
    }
}

fn tell(turns: &Turns, report: &mut Report) {
    let merging = if turns.merges { "merging" } else { "no merges" };
    let about = format!("{}, {merging}", turns.topic.name());
    let measure = format!("{about}: frames loaded");
    for contender in Contender::ALL {
        let rate = turns.median(contender, |load| load.per_second);
        report.add(&measure, contender.name(), rate, "1/s");
    }
    let measure = format!("{about}: processor time a frame");
    for contender in Contender::ALL {
        let name = contender.name();
        report.add(&measure, name, turns.median(contender, Loaded::both), "µs");
    }
    let measure = format!("{about}: of it the consumer's own");
    for contender in [Contender::Plain, Contender::Redacting] {
        let time = turns.median(contender, |load| load.loader);
        report.add(&measure, contender.name(), time, "µs");
    }
    let measure = format!("{about}: rate, of the engine's");
    for (contender, goal) in [(Contender::Plain, FASTER), (Contender::Redacting, FASTER_REDACTING)] {
        let ratio = turns.ratio(contender, Contender::Engine, |load| load.per_second);
        report.add_at_least(&measure, contender.name(), ratio, "×", Some(goal));
        let ratio = turns.ratio(contender, Contender::EngineAndViews, |load| load.per_second);
        report.add(&measure, &format!("{}, all views", contender.name()), ratio, "×");
    }
    let measure = format!("{about}: processor time, of the engine's");
    let ratio = |to| turns.ratio(Contender::Plain, to, Loaded::both);
    report.add_bounded(
        &measure,
        Contender::Plain.name(),
        ratio(Contender::Engine),
        "×",
        Some(CHEAPER),
    );
    let name = format!("{}, all views", Contender::Plain.name());
    report.add(&measure, &name, ratio(Contender::EngineAndViews), "×");
    if turns.topic == Sizes::Kibibyte {
        let alone = turns.ratio_alone();
        let measure = format!("{about}: frames a second and core, consumer alone");
        report.add_at_least(&measure, Contender::Plain.name(), alone, "1/s", Some(ALONE));
    }
    let measure = format!("{about}: peak memory");
    for contender in [Contender::Plain, Contender::Redacting] {
        let peak = turns.of(contender).iter().map(|load| load.peak).fold(0.0, f64::max);
        report.add_bounded(&measure, contender.name(), peak, "MiB", Some(MEMORY));
    }
}

impl Turns {
    fn ratio_alone(&self) -> f64 {
        self.median(Contender::Plain, |load| 1e6 / load.loader)
    }
}

async fn disk(parts: &Parts, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let calls = extent.calls / LESS;
    let topic = Topic::filled(parts, "measure-disk", Sizes::ToolLike, calls, Framing::default()).await?;
    let database = parts.database("load_disk");
    let way = Way {
        contender: Contender::Redacting,
        merges: true,
        registry: None,
    };
    load(parts, &topic, &database, way).await?;
    let (disk, payload) = on_disk(&database).await?;
    remove(&database).await?;
    report.add("bytes a frame, merged", "payload as sent", payload, "B");
    report.add_bounded("bytes a frame, merged", "on disk, all columns", disk, "B", Some(DISK));
    Ok(())
}

async fn backlog(parts: &Parts, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let topic = Topic::filled(
        parts,
        "measure-backlog",
        Sizes::Kibibyte,
        extent.backlog / 2,
        Framing::default(),
    )
    .await?;
    let caught_up = backlog::catch_up(parts, &topic, &parts.database("load_backlog")).await?;
    remove(&parts.database("load_backlog")).await?;
    let (frames, seconds) = BACKLOG;
    let is_whole = extent.backlog >= frames;
    let measure = format!("start to < 2 s lag, backlog of {}", topic.frames);
    let after = caught_up.after.as_secs_f64();
    report.add_bounded(&measure, "consumer", after, "s", is_whole.then_some(seconds));
    report.add_bounded("peak memory meanwhile", "consumer", caught_up.peak, "MiB", Some(MEMORY));
    Ok(())
}
