//! The schemas that records name by a registry's id: each is asked for once.

use std::collections::HashSet;
use std::sync::{Arc, PoisonError, RwLock};

use tapedeck_registry::{Registry, RegistryError};
use tapedeck_schemas::wire::{SchemaIds, registry_id};
use tracing::{info, warn};

/// Ids that the registry does not have, at most, before they are asked for again.
const ABSENT: usize = 1000;

/// What is known of a registry's schemas. Cheap to share. Without a registry nothing is known, and records that name a
/// schema by an id cannot be read.
#[derive(Clone, Debug, Default)]
pub struct Schemas {
    registry: Option<Registry>,
    known: Arc<RwLock<Known>>,
}

#[derive(Debug, Default)]
struct Known {
    ids: SchemaIds,
    /// What the registry does not have, or has and is no schema.
    absent: HashSet<u32>,
}

impl Schemas {
    /// Of a registry.
    #[must_use]
    pub fn of(registry: Registry) -> Self {
        Self {
            registry: Some(registry),
            known: Arc::default(),
        }
    }

    /// The id of a record's schema, where the registry is still to be asked for it.
    #[must_use]
    pub fn lacks(&self, record: &[u8]) -> Option<u32> {
        self.registry.as_ref()?;
        let id = registry_id(record)?;
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        (!known.ids.knows(id) && !known.absent.contains(&id)).then_some(id)
    }

    /// Asks for a schema until the registry answers.
    ///
    /// # Errors
    /// Only what no retry mends.
    pub async fn learn(&self, id: u32) -> Result<(), RegistryError> {
        let Some(registry) = &self.registry else {
            return Ok(());
        };
        let text = registry.schema_at_last(id).await?;
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let is_read = text.is_some_and(|text| match known.ids.insert(id, &text) {
            Ok(()) => true,
            Err(error) => {
                warn!(id, %error, "what the registry has under this id is no Avro schema");
                false
            }
        });
        if is_read {
            info!(id, "a schema of the registry");
        } else {
            if known.absent.len() >= ABSENT {
                known.absent.clear();
            }
            known.absent.insert(id);
        }
        Ok(())
    }

    /// Hands what is known to a reader.
    pub fn with<T>(&self, read: impl FnOnce(&SchemaIds) -> T) -> T {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner);
        read(&known.ids)
    }
}
