use crate::redaction::CleanFrame;

/// Declares the bits of `present`, in order: names for the documentation, tests for the rows.
macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal: $test:expr,)+) => {
        /// An optional field of a frame. Its bit in `present` is 1 if the frame had it: an empty text and an absent one
        /// differ in the frame's hash.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Field { $($(#[$doc])* $variant,)+ }

        impl Field {
            /// All fields, by bit from 0.
            pub const ALL: &[Self] = &[$(Self::$variant,)+];

            /// The field's path in the frame.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }

        }

        /// The column `present`.
        pub(super) fn bits(clean: &CleanFrame) -> u64 {
            let mut bits = 0;
            $({
                let is_present: fn(&CleanFrame) -> bool = $test;
                bits |= u64::from(is_present(clean)) << Field::$variant as u32;
            })+
            bits
        }
    };
}

fields! {
    /// The session was named by the frame.
    Session = "session_id": |clean| clean.frame().session_id.is_some(),
    /// An end marker.
    End = "end": |clean| clean.frame().end.is_some(),
    /// A verified caller.
    Principal = "principal": |clean| clean.frame().principal.is_some(),
    /// The caller's name.
    PrincipalName = "principal.name": |clean| principal(clean, |p| p.name.is_some()),
    /// The caller's address.
    PrincipalEmail = "principal.email": |clean| principal(clean, |p| p.email.is_some()),
    /// The caller's client.
    PrincipalClientId = "principal.client_id": |clean| principal(clean, |p| p.client_id.is_some()),
    /// `jti`.
    PrincipalTokenId = "principal.token_id": |clean| principal(clean, |p| p.token_id.is_some()),
    /// `sid`.
    PrincipalTokenSession = "principal.token_session": |clean| principal(clean, |p| p.token_session.is_some()),
    /// `cnf`.
    PrincipalKeyThumbprint = "principal.key_thumbprint": |clean| principal(clean, |p| p.key_thumbprint.is_some()),
    /// `User-Agent`.
    UserAgent = "client.user_agent": |clean| clean.frame().client.user_agent.is_some(),
    /// `clientInfo.name`.
    ClaimedName = "client.claimed_name": |clean| clean.frame().client.claimed_name.is_some(),
    /// `clientInfo.version`.
    ClaimedVersion = "client.claimed_version": |clean| clean.frame().client.claimed_version.is_some(),
    /// MCP revision.
    Revision = "protocol.revision": |clean| clean.frame().protocol.revision.is_some(),
    /// Hash of the target's session id.
    SessionHash = "protocol.session_hash": |clean| clean.frame().protocol.session_hash.is_some(),
    /// The envelope.
    Rpc = "rpc": |clean| clean.frame().rpc.is_some(),
    /// Its method.
    RpcMethod = "rpc.method": |clean| rpc(clean, |rpc| rpc.method.is_some()),
    /// Its id.
    RpcId = "rpc.id": |clean| rpc(clean, |rpc| rpc.id.is_some()),
    /// Tool, prompt or resource.
    RpcName = "rpc.name": |clean| rpc(clean, |rpc| rpc.name.is_some()),
    /// Error code.
    RpcErrorCode = "rpc.error_code": |clean| rpc(clean, |rpc| rpc.error_code.is_some()),
    /// `isError`.
    RpcIsError = "rpc.is_error": |clean| rpc(clean, |rpc| rpc.is_error.is_some()),
    /// HTTP method.
    HttpMethod = "http.method": |clean| clean.frame().http.method.is_some(),
    /// HTTP status.
    HttpStatus = "http.status": |clean| clean.frame().http.status.is_some(),
    /// `Content-Type`.
    ContentType = "http.content_type": |clean| clean.frame().http.content_type.is_some(),
    /// A server-sent event.
    Sse = "sse": |clean| clean.frame().sse.is_some(),
    /// Its id.
    SseId = "sse.id": |clean| sse(clean, |sse| sse.id.is_some()),
    /// Its type.
    SseEvent = "sse.event": |clean| sse(clean, |sse| sse.event.is_some()),
    /// Its retry time.
    SseRetry = "sse.retry": |clean| sse(clean, |sse| sse.retry.is_some()),
    /// Its comments.
    SseComment = "sse.comment": |clean| sse(clean, |sse| sse.comment.is_some()),
    /// Trace context.
    Traceparent = "traceparent": |clean| clean.frame().traceparent.is_some(),
    /// A rule's decision.
    Decision = "decision": |clean| clean.frame().decision.is_some(),
    /// An approval.
    Approval = "decision.approval_id": |clean| {
        clean.frame().decision.as_ref().is_some_and(|decision| decision.approval_id.is_some())
    },
    /// A segment's event.
    Segment = "segment": |clean| clean.frame().segment.is_some(),
    /// The segment before.
    PreviousSegment = "segment.previous": |clean| {
        clean.frame().segment.as_ref().is_some_and(|segment| segment.previous.is_some())
    },
    /// A gap.
    Gap = "gap": |clean| clean.frame().gap.is_some(),
    /// A payload was recorded.
    Payload = "payload": |clean| clean.frame().commitments.payload.is_some(),
    /// Its salt is stored.
    PayloadSalt = "salts.payload": |clean| clean.payload_salt().is_some(),
    /// The metadata's salt is stored.
    MetadataSalt = "salts.metadata": |clean| clean.metadata_salt().is_some(),
    /// A field that the frame hash covers directly was masked: the hash cannot be recomputed from the row.
    DirectMasked = "masked: hashed directly": |clean| clean.direct_masked(),
}

impl Field {
    /// What [`CleanFrame::erase`] leaves.
    const LEFT: &[Self] = &[
        Self::Session,
        Self::End,
        Self::Revision,
        Self::Rpc,
        Self::RpcMethod,
        Self::RpcErrorCode,
        Self::RpcIsError,
        Self::HttpMethod,
        Self::HttpStatus,
        Self::ContentType,
        Self::Decision,
        Self::Approval,
        Self::Segment,
        Self::PreviousSegment,
        Self::Gap,
        Self::Payload,
    ];

    const fn bit(self) -> u64 {
        1 << self as u32
    }
}

/// The expression that makes of a row's `present` what it is once the row is erased.
#[must_use]
pub fn erased_present() -> String {
    let left: u64 = Field::LEFT.iter().map(|field| field.bit()).sum();
    format!("bitOr(bitAnd(present, {left}), {})", Field::DirectMasked.bit())
}

fn principal(clean: &CleanFrame, test: impl FnOnce(&tapedeck_schemas::Principal) -> bool) -> bool {
    clean.frame().principal.as_deref().is_some_and(test)
}

fn rpc(clean: &CleanFrame, test: impl FnOnce(&tapedeck_schemas::Rpc) -> bool) -> bool {
    clean.frame().rpc.as_ref().is_some_and(test)
}

fn sse(clean: &CleanFrame, test: impl FnOnce(&tapedeck_schemas::Sse) -> bool) -> bool {
    clean.frame().sse.as_ref().is_some_and(test)
}
