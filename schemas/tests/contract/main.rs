//! What readers of the topics may rely on.

mod arbitrary;
mod avro;
mod control;
mod documentation;
mod golden;
mod integrity;
mod records;
