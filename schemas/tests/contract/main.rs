//! What readers of the topics may rely on.

mod arbitrary;
mod audit;
mod avro;
mod control;
mod documentation;
mod golden;
mod integrity;
mod records;
mod skew;
