//! Limits that hold for every deployment. Constants rather than keys: each protects the recorder itself, and none has
//! yet had a reason to differ between two deployments.

use std::time::Duration;

/// The longest request body that is read, in bytes: a client's message is recorded and forwarded whole.
pub const REQUEST_BODY: usize = 4 * 1024 * 1024;

/// The longest head (request line and header fields) of a request, in bytes.
pub const REQUEST_HEAD: usize = 64 * 1024;

/// The most header fields in a request.
pub const REQUEST_FIELDS: usize = 128;

/// How long a client may take to send a request's head, and how long an idle connection is kept for its next: hyper has
/// one timer for both. As long as nginx keeps idle connections: a shorter time would close them under clients that are
/// about to use them again.
pub const HEAD_OR_IDLE_TIME: Duration = Duration::from_secs(75);
