use std::io::Write;

use serde::Serialize;

/// One JSON object on a line of its own.
pub(crate) fn line(value: &impl Serialize, out: &mut impl Write) -> anyhow::Result<()> {
    serde_json::to_writer(&mut *out, value)?;
    out.write_all(b"\n")?;
    Ok(())
}
