//! Parsers of what clients and targets send: JSON-RPC envelope, server-sent events; pure.
