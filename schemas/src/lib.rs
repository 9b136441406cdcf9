//! The Avro contracts of tapedeck: records, encoding, hashes.
