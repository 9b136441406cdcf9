//! Events of the audit topic, as in `audit.avsc`: OCSF 1.8.0 API Activity, redacted.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// Mirrors a record of the schema; its docs are there.
macro_rules! ocsf {
    ($($(#[$doc:meta])* $name:ident { $($(#[$attribute:meta])* $field:ident: $type:ty,)+ })+) => {$(
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
        #[allow(missing_docs, reason = "each field's doc is in audit.avsc")]
        pub struct $name {
            $($(#[$attribute])* pub $field: $type,)+
        }
    )+};
}

ocsf! {
    /// One event.
    AuditEvent {
        activity_id: i32,
        activity_name: String,
        category_uid: i32,
        class_uid: i32,
        type_uid: i64,
        severity_id: i32,
        time: i64,
        start_time: Option<i64>,
        duration: Option<i64>,
        status_id: i32,
        status_code: Option<String>,
        action_id: i32,
        disposition_id: i32,
        authorizations: Vec<Authorization>,
        metadata: Metadata,
        actor: Actor,
        api: Api,
        message_context: MessageContext,
        trace: Option<Trace>,
        resources: Vec<Resource>,
        src_endpoint: SrcEndpoint,
        dst_endpoint: DstEndpoint,
        http_request: HttpRequest,
        raw_data_hash: Option<Fingerprint>,
        unmapped: BTreeMap<String, String>,
    }
    /// OCSF metadata.
    Metadata {
        uid: String,
        sequence: i64,
        correlation_uid: String,
        event_code: String,
        profiles: Vec<String>,
        is_truncated: bool,
        tenant_uid: Option<String>,
        version: String,
        product: Product,
    }
    /// OCSF product.
    Product { name: String, vendor_name: String, version: String, }
    /// OCSF actor.
    Actor { user: Option<User>, idp: Option<Idp>, session: Session, app_uid: Option<String>, }
    /// OCSF user.
    User { uid: String, name: Option<String>, email_addr: Option<String>, groups: Vec<Group>, }
    /// OCSF group.
    Group { name: String, }
    /// OCSF identity provider.
    Idp { name: String, }
    /// OCSF session.
    Session { uid: String, created_time: i64, expiration_reason: Option<String>, }
    /// OCSF authorization result.
    Authorization { decision: String, policy: Policy, }
    /// OCSF policy.
    Policy { name: String, uid: Option<String>, }
    /// OCSF message context.
    MessageContext { uid: String, ai_role_id: i32, service: Service, }
    /// OCSF trace.
    Trace { uid: String, }
    /// OCSF API.
    Api {
        operation: String,
        service: Service,
        version: Option<String>,
        request: Request,
        response: Option<Response>,
        token: Option<Token>,
    }
    /// OCSF service.
    Service { name: String, }
    /// OCSF request elements.
    Request { uid: String, }
    /// OCSF response elements.
    Response { code: Option<i32>, error: Option<String>, }
    /// OCSF authentication token.
    Token { uid: String, type_id: i32, }
    /// OCSF resource details.
    Resource { name: String, #[serde(rename = "type")] kind: String, }
    /// OCSF network endpoint of the client.
    SrcEndpoint { ip: Option<String>, name: Option<String>, }
    /// OCSF network endpoint of the target.
    DstEndpoint { name: String, }
    /// OCSF HTTP request.
    HttpRequest { http_method: Option<String>, url: Url, user_agent: Option<String>, }
    /// OCSF URL.
    Url { path: String, }
    /// OCSF fingerprint.
    Fingerprint { algorithm_id: i32, value: String, }
}
