//! Room for connections, which may change while some are there.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// So many connections at once.
pub(super) struct Room {
    places: Arc<Semaphore>,
    most: usize,
}

impl Room {
    pub(super) fn new(most: usize) -> Self {
        Self {
            places: Arc::new(Semaphore::new(most)),
            most,
        }
    }

    /// A place, as soon as there is one, until it is dropped. Safe to cancel.
    pub(super) async fn place(&self) -> OwnedSemaphorePermit {
        let place = Arc::clone(&self.places).acquire_owned().await;
        place.expect("nobody closes this semaphore")
    }

    /// From now on so many. Where more are taken, none is free until that many are not.
    pub(super) fn resize(&mut self, most: usize) {
        let (more, fewer) = (most.saturating_sub(self.most), self.most.saturating_sub(most));
        self.most = most;
        self.places.add_permits(more);
        let owed = fewer - self.places.forget_permits(fewer);
        let Ok(owed @ 1..) = u32::try_from(owed) else { return };
        let places = Arc::clone(&self.places);
        // Before everybody who waits for a place from now on: the semaphore is fair.
        tokio::spawn(async move {
            if let Ok(taken) = places.acquire_many_owned(owed).await {
                taken.forget();
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn room_grows_at_once_and_shrinks_as_places_are_left() {
        let mut room = Room::new(2);
        let (one, two) = (room.place().await, room.place().await);
        room.resize(3);
        let three = room.place().await;
        room.resize(1);
        let free = async || {
            // The debt is another task's to take.
            tokio::task::yield_now().await;
            room.places.available_permits()
        };
        assert_eq!(free().await, 0);
        drop(one);
        assert_eq!(free().await, 0);
        drop(two);
        assert_eq!(free().await, 0, "one is there still");
        drop(three);
        assert_eq!(free().await, 1);
        let _place = room.place().await;
    }
}
