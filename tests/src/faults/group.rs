//! Telling a group that a member is gone, as an operator's tools do.

use anyhow::{Context as _, ensure};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// `LeaveGroup` in version 0, which every broker takes: group and member, answered with an error code.
const LEAVE_GROUP: i16 = 13;

/// Says for a member that was killed that it leaves. When this returns the group does not wait for it any more.
///
/// librdkafka has no call for it.
pub(super) async fn remove_member(brokers: &str, group: &str, member: &str) -> anyhow::Result<()> {
    const CORRELATION: i32 = 1;
    let mut request = Vec::new();
    request.extend(LEAVE_GROUP.to_be_bytes());
    request.extend(0_i16.to_be_bytes());
    request.extend(CORRELATION.to_be_bytes());
    for text in ["tests", group, member] {
        request.extend(i16::try_from(text.len())?.to_be_bytes());
        request.extend(text.as_bytes());
    }
    let mut stream = TcpStream::connect(brokers).await.context("connecting to the broker")?;
    stream.write_i32(i32::try_from(request.len())?).await?;
    stream.write_all(&request).await?;
    let size = usize::try_from(stream.read_i32().await?)?;
    let correlation = stream.read_i32().await?;
    let error = stream.read_i16().await?;
    ensure!(
        (size, correlation, error) == (6, CORRELATION, 0),
        "the broker answers with {size} bytes to {correlation}: error {error}"
    );
    Ok(())
}
