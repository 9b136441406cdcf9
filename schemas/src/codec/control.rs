use super::read::{Malformed, Reader};
use super::write::Writer;
use crate::{
    Control, ControlBody, Digest, Endorsement, Head, SegmentSealed, SessionKey, WriterManifest, WriterStarted,
    WriterStopped,
};

/// Appends the statement's Avro binary.
pub(crate) fn encode_control(control: &Control, out: &mut Vec<u8>) {
    let mut w = Writer(out);
    w.id(control.writer_id);
    w.long(control.control_seq);
    w.long(control.time);
    match &control.body {
        ControlBody::WriterStarted(started) => {
            w.long(0);
            w.fixed(&started.public_key);
            w.text(&started.instance);
            w.text(&started.version);
            w.optional(started.endorsement.as_ref(), |w, endorsement| {
                w.fixed(&endorsement.public_key);
                w.fixed(&endorsement.signature);
            });
        }
        ControlBody::SegmentSealed(sealed) => {
            w.long(1);
            w.id(sealed.segment_id);
            w.fixed(sealed.session_key.as_bytes());
            w.long(sealed.count);
            w.fixed(&sealed.head.0);
            w.text(&sealed.reason);
        }
        ControlBody::WriterManifest(manifest) => {
            w.long(2);
            w.long(manifest.writer_seq);
            w.array(&manifest.heads, |w, head| {
                w.id(head.segment_id);
                w.fixed(head.session_key.as_bytes());
                w.long(head.seq);
                w.fixed(&head.head.0);
            });
            w.int(manifest.chunk);
            w.boolean(manifest.last);
            w.long(manifest.refusals_not_written);
        }
        ControlBody::WriterStopped(stopped) => {
            w.long(3);
            w.long(stopped.writer_seq);
            w.text(&stopped.reason);
        }
    }
    w.fixed(&control.previous_hash.0);
    w.fixed(&control.signature);
}

/// Reads one statement that takes up all of `bytes`. Its signature is not looked at.
pub(crate) fn decode_control(bytes: &[u8]) -> Result<Control, Malformed> {
    let mut r = Reader(bytes);
    let control = Control {
        writer_id: r.id()?,
        control_seq: r.long()?,
        time: r.long()?,
        body: read_body(&mut r)?,
        previous_hash: Digest(r.fixed()?),
        signature: r.fixed()?,
    };
    r.end()?;
    Ok(control)
}

fn read_body(r: &mut Reader<'_>) -> Result<ControlBody, Malformed> {
    Ok(match r.long()? {
        0 => ControlBody::WriterStarted(WriterStarted {
            public_key: r.fixed()?,
            instance: r.text()?,
            version: r.text()?,
            endorsement: r.optional(|r| {
                Ok(Endorsement {
                    public_key: r.fixed()?,
                    signature: r.fixed()?,
                })
            })?,
        }),
        1 => ControlBody::SegmentSealed(SegmentSealed {
            segment_id: r.id()?,
            session_key: SessionKey(Digest(r.fixed()?)),
            count: r.long()?,
            head: Digest(r.fixed()?),
            reason: r.text()?,
        }),
        2 => ControlBody::WriterManifest(WriterManifest {
            writer_seq: r.long()?,
            heads: r.array(|r| {
                Ok(Head {
                    segment_id: r.id()?,
                    session_key: SessionKey(Digest(r.fixed()?)),
                    seq: r.long()?,
                    head: Digest(r.fixed()?),
                })
            })?,
            chunk: r.int()?,
            last: r.boolean()?,
            refusals_not_written: r.long()?,
        }),
        3 => ControlBody::WriterStopped(WriterStopped {
            writer_seq: r.long()?,
            reason: r.text()?,
        }),
        _ => return Err(Malformed::Branch),
    })
}
