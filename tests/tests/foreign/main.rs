//! What the services do with servers that nobody here wrote, set up as others set them up: Kafka with users and access
//! lists, Keycloak, a schema registry, an MCP server behind TLS, load balancers.

mod authority;
mod credentials;
mod device;
mod kafka;
mod keycloak;
mod local_stack;
mod replicas;
mod schema_registry;
mod servers;
mod target;
mod tls_ends;
mod traces;
