//! From the topic into ClickHouse: a topic of one partition that is full already, loaded by a consumer as it is by default.

use tapedeck_schemas::wire::Framing;

use super::consumer::{Contender, Loaded, Sizes, Topic, Way, load, on_disk, remove};
use super::parts::{Parts, note};
use super::report::median;
use super::{Extent, Report};

pub(super) async fn measure(parts: &Parts, extent: Extent, report: &mut Report) -> anyhow::Result<()> {
    let topic = Topic::filled(
        parts,
        "measure-loading",
        Sizes::Kibibyte,
        extent.calls,
        Framing::default(),
    )
    .await?;
    let way = Way {
        contender: Contender::Redacting,
        merges: true,
        registry: None,
    };
    let (mut loads, mut sizes) = (Vec::new(), (0.0, 0.0));
    for number in 1..=extent.loads {
        note(&format!(
            "loading: {} frames, {number} of {}",
            topic.frames, extent.loads
        ));
        let database = parts.database(&format!("measure_loading_{number}"));
        loads.push(load(parts, &topic, &database, way).await?);
        sizes = on_disk(&database).await?;
        remove(&database).await?;
    }
    let of = |value: fn(&Loaded) -> f64| median(loads.iter().map(value).collect());
    let rate = of(|load| load.per_second);
    report.add("frames from topic to ClickHouse", "consumer", rate, "1/s");
    let measure = "processor time per frame";
    report.add(measure, "consumer", of(|load| load.loader), "µs");
    report.add(measure, "ClickHouse", of(|load| load.clickhouse), "µs");
    report.add("peak memory", "consumer", of(|load| load.peak), "MiB");
    let (disk, payload) = sizes;
    report.add("bytes per frame", "payload, as sent", payload, "B");
    report.add("bytes per frame", "on disk, all columns", disk, "B");
    Ok(())
}
