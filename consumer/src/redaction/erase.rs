use tapedeck_schemas::{Client, Frame, Protocol, Rpc, SessionKey};

use super::{CleanFrame, Fate};

impl CleanFrame {
    /// Takes away whatever says who somebody was or what they did, with the salts. What is left keeps the frame's place:
    /// numbers, sizes, times, commitments and hashes, so that the chain of its segment still holds.
    pub fn erase(&mut self) {
        let frame = *std::mem::take(&mut self.frame);
        *self = Self {
            frame: Box::new(Frame {
                // Made of the caller's identity without a salt: who knows it could look for it.
                session_key: SessionKey::default(),
                principal: None,
                client: Client::default(),
                protocol: Protocol {
                    session_hash: None,
                    ..frame.protocol
                },
                rpc: frame.rpc.map(|rpc| Rpc {
                    id: None,
                    name: None,
                    ..rpc
                }),
                sse: None,
                traceparent: None,
                ..frame
            }),
            body: None,
            fate: Fate::Erased,
            rules: Vec::new(),
            tokens: Vec::new(),
            salts: (None, None),
            direct_masked: true,
        };
    }
}
