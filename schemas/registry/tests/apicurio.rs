//! The client against a registry that nobody here wrote: Apicurio's, with Confluent's interface.

use tapedeck_config::SchemaRegistry;
use tapedeck_dev::folder::{Folder, Site};
use tapedeck_dev::progress::Quiet;
use tapedeck_dev::registry::Registry as Apicurio;
use tapedeck_registry::Registry;
use tapedeck_schemas::schema;
use tapedeck_schemas::wire::{Framing, SchemaIds, decode_frame_by, encode_frame, registry_id};
use tapedeck_schemas::{Chain, Frame};

#[tokio::test(flavor = "multi_thread")]
async fn what_is_registered_once_or_often_has_one_id_and_is_read_by_it() {
    let folder = Folder::open().expect("a folder for parts");
    let run = folder.run("test-registry").expect("a folder for this run");
    let site = Site {
        folder: &folder,
        run: &run,
        progress: &Quiet,
    };
    let apicurio = Apicurio::start(site).await.expect("a registry");
    let config = SchemaRegistry {
        url: apicurio.url().parse().expect("a URL"),
        login: None,
        ca: None,
    };
    let registry = Registry::new(&config).expect("a client");
    let mut ids = SchemaIds::default();
    let mut frames = None;
    for (file, text) in schema::ALL {
        let topic = format!("mcp.{}.v1", file.trim_end_matches(".avsc"));
        let id = registry.register(&topic, text).await.expect("registered");
        let again = registry.register(&topic, text).await.expect("registered");
        assert_eq!(again, id, "{topic}: any number of writers may register");
        let known = registry.schema(id).await.expect("an answer").expect("a schema");
        ids.insert(id, &known).expect("an Avro schema");
        frames = frames.or((file == "frame.avsc").then_some(id));
    }
    let mut chain = Chain::open(uuid::Uuid::now_v7(), uuid::Uuid::now_v7());
    let sealed = chain.seal(Frame::default(), 1, None);
    let record = encode_frame(&sealed, Framing::Registry(frames.expect("registered")));
    assert_eq!(registry_id(&record), frames);
    let read = decode_frame_by(&record, &ids).expect("a frame");
    assert_eq!(read.verify_hash(), Ok(()));

    assert_eq!(registry.schema(999_999).await.expect("an answer"), None);
    let refused = registry
        .register("mcp.frame.v1", "no schema")
        .await
        .expect_err("no schema");
    assert!(refused.is_permanent(), "{refused}");
}
