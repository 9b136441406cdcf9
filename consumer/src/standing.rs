//! The group's word that a partition is ours, which every lease is counted from.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::group::Member;
use crate::stop::Stop;

/// One partition's standing with the group.
///
/// A process that was stopped and goes on does not know that its partition has another owner by now, and would give itself
/// a new lease. So a lease begins no later than a commit that the brokers accepted: they refuse whoever they have dropped,
/// and nobody else is given the partition before. The next owner waits out a lease from its own assignment on.
#[derive(Debug)]
pub struct Standing {
    member: Arc<Member>,
    partition: i32,
    /// What was committed last, or is to be.
    offset: i64,
    /// Invariant: at this moment the partition was ours.
    proven: Option<Instant>,
}

impl Standing {
    /// Not proven yet. Everything before `offset` is loaded.
    #[must_use]
    pub fn new(member: Arc<Member>, partition: i32, offset: i64) -> Self {
        Self {
            member,
            partition,
            offset,
            proven: None,
        }
    }

    /// Commits an offset, unless it is what was committed last.
    ///
    /// # Errors
    /// Only one that no retry mends.
    pub async fn commit(&mut self, offset: i64) -> Result<(), Stop> {
        if self.proven.is_none() || self.offset != offset {
            self.offset = offset;
            self.proven = Some(self.member.commit(self.partition, offset).await?);
        }
        Ok(())
    }

    /// A moment, at most about `age` ago, at which the partition was ours.
    ///
    /// # Errors
    /// Only one that no retry mends.
    pub async fn proven(&mut self, age: Duration) -> Result<Instant, Stop> {
        if let Some(proven) = self.proven.filter(|proven| proven.elapsed() <= age) {
            return Ok(proven);
        }
        let proven = self.member.commit(self.partition, self.offset).await?;
        self.proven = Some(proven);
        Ok(proven)
    }
}
